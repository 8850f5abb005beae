# Sightline on one machine. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
ROOMS := core ingest inference streams_proc warehouse query_api infra
# two processes: most of a test on real parts is waiting for them
PYTEST := -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder
COVERED := core ingest streams_proc warehouse query_api
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate --override requirements-overrides.txt

.PHONY: help setup setup-test demo up down status check test faults bench lock schemas

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: ## make this checkout ready to run
	@infra/setup/setup.sh run

setup-test: ## and ready to test
	@infra/setup/setup.sh test

demo: setup ## start everything, analyse a clip (VIDEO=path for your own), write out/report.html
	@infra/setup/demo.sh $(VIDEO)

up: setup ## start the one-machine stack
	@$(BIN)/sightline up

down: ## stop it
	@$(BIN)/sightline down

status: ## what runs, on which port, how far behind
	@$(BIN)/sightline status

check: setup-test ## lint, types, import rules, unit tests: no stack, under five minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python $(PYTEST) tests/unit

test: setup-test ## everything that is checked before a change is taken
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) --durations=25 tests
	$(BIN)/coverage combine --quiet
	@for room in $(COVERED); do \
		$(BIN)/coverage report --include="$$room/*" --skip-covered --show-missing --fail-under=90 || exit 1; done

faults: setup-test ## kill, stop, cut and fill everything for an hour and a half; writes docs/reliability.md
	$(BIN)/python -m tests.faults --report docs/reliability.md

bench: setup-test ## measure every part and the whole, an hour and a half (BENCH="--short --only kafka" for less)
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks --report docs/benchmarks.md

lock: ## resolve the lock files anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) -o requirements.lock pyproject.toml
	$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

schemas: ## write the topics' JSON Schemas anew from the code
	$(BIN)/python -m core.contracts
