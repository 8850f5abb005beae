from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError
from inference.serving_config import Batching, format_batching, format_models, parse_batching, parse_models

OFFICIAL = """
max_batch_size { value: 32 }  # as in TensorFlow Serving's own guide
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
thread_pool_name { value: "shared" }
pad_variable_length_inputs: true
allowed_batch_sizes: 8
allowed_batch_sizes: 32
"""


def test_reads_tensorflow_servings_own_syntax() -> None:
    assert parse_batching(OFFICIAL) == Batching(32, 0, 100, 4, (8, 32))


def test_what_is_left_out_has_its_default() -> None:
    assert parse_batching("max_batch_size { value: 2 }") == Batching(max_batch_size=2)


@pytest.mark.parametrize("batching", [Batching(), Batching(16, 5, 3, 1, (1, 2, 16))])
def test_batching_round_trip(batching: Batching) -> None:
    assert parse_batching(format_batching(batching)) == batching


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size { value: 0 }",
        "batch_timeout_micros { value: -1 }",
        "max_batch_size { value: 8 } allowed_batch_sizes: 4",
        "max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 4",
        "max_batch_size: 8",
        "no_such_field { value: 1 }",
        "max_batch_size {",
    ],
)
def test_refuses_batching_that_cannot_work(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_batching(text)


def test_models_round_trip() -> None:
    config = parse_models(format_models({"a": Path("/m/a"), "b": Path("/m/b")}))
    assert [(m.name, m.base_path, m.model_platform) for m in config.model_config_list.config] == [
        ("a", "/m/a", "tensorflow"),
        ("b", "/m/b", "tensorflow"),
    ]


def test_reads_policies_and_labels() -> None:
    config = parse_models(
        'model_config_list { config { name: "a" base_path: "/m/a" model_platform: "tensorflow" '
        "model_version_policy { specific { versions: 3 versions: 4 } } "
        'version_labels { key: "canary" value: 4 } } }'
    )
    (model,) = config.model_config_list.config
    assert list(model.model_version_policy.specific.versions) == [3, 4]
    assert dict(model.version_labels) == {"canary": 4}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "model_config_list is expected"),
        ("model_config_list { config { name: 'a' } }", "needs a name and a base_path"),
        ("model_config_list { config { base_path: '/a' } }", "needs a name and a base_path"),
        (
            "model_config_list { config { name: 'a' base_path: '/a' } config { name: 'a' base_path: '/b' } }",
            "a is there twice",
        ),
        ("model_config_list [", "models.config"),
    ],
)
def test_refuses_models_that_cannot_be_served(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_models(text)
