"""Whatever is asked of the real stores, the running service answers as its description says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.query_api.conftest import Served
from tests.integration.query_api.pipeline import Analysed
from tests.integration.query_api.test_service import body, submitted, upload

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]
EXAMPLES = 25
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PATHS = ("events", "tracks", "detections", "statistics", "ledger", "streams", "tasks")


def test_every_list_answers_as_described(served: Served) -> None:
    assert served.http.post("/1/videosdk", json=body(upload(served), 1)).status_code == 202
    Analysed(submitted(served)).store(served.analytics, served.control)
    api = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.settings.query.port}/docs/spec")
    for path in PATHS:
        seen: set[int] = set()

        @examples(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=api[f"/query/v1/{path}"]["GET"].as_strategy(generation_mode=GenerationMode.POSITIVE))
        def answers(case: schemathesis.Case) -> None:
            response = case.call()
            seen.add(response.status_code)  # noqa: B023  # it runs within this turn of the loop
            case.validate_response(response, checks=CHECKS)

        answers()
        assert 200 in seen, (path, seen)
