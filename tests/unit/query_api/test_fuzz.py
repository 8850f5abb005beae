"""Whatever is sent, the service answers as its own description says, and never fails inside."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.strategies import booleans
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from core.settings import Settings
from query_api.app import create_app
from query_api.routes import ROUTES
from query_api.routes.route import Route, Surface
from query_api.types.common import MAX_MS
from tests.unit.query_api.cameras import camera
from tests.unit.query_api.conftest import deferred
from tests.unit.query_api.fakes import Parts, batch

EXAMPLES = 15
CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture
def api(settings: Settings, parts: Parts) -> Any:
    parts.analytics.batches = [batch(stream_id=["a"], box=[[0.0, 0.1]], ts=[1])]
    parts.followers.outcome = RuntimeError("never asked: no video here can be reached")
    return schemathesis.openapi.from_asgi("/docs/spec", create_app(settings, parts.collaborators))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("route", [one for one in ROUTES if not one.endless], ids=lambda route: route.operation)
def test_every_operation_answers_as_described(
    api: Any, known: dict[str, str], route: Route, mode: GenerationMode
) -> None:
    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)

    @examples(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path][route.method].as_strategy(generation_mode=mode), there=booleans())
    def answers(case: schemathesis.Case, there: bool) -> None:
        if there:
            make_sensible(case, route, known)
        response = case.call()
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    seen: set[int] = set()
    answers()
    assert seen & (route.answers.keys() if mode is GenerationMode.POSITIVE else {400, 404, 405, 406, 415, 422}), seen


def make_sensible(case: schemathesis.Case, route: Route, known: dict[str, str]) -> None:
    """Ids of what is there, as long as no example has removed it, and addresses that may be opened."""
    names: dict[str, Any] = {**known, **({"task_id": known["pending_id"]} if route.suffix == "cancel" else {})}
    if route.surface is Surface.ENGINE:
        analytic = "face_detection" if route.operation == "pipeline_post" else "object_detection"
        names |= {"node_num": 0, "stream_id": known["stream_id"].replace("-", "")[-16:], "analytic_id": analytic}
    if route.operation == "video_patch":
        names["video_id"] = known["open_id"]
        case.headers["Upload-Offset"] = "0"
        case.query["partial"] = "true"
        case.body = b""
    case.path_parameters.update({name: names[name] for name in case.path_parameters if name in names})
    if route.resource == "agent_stream" and case.query:
        case.query.pop("account_id", None)
    if not isinstance(case.body, dict):
        return
    if route.resource == "videosdk":
        case.body |= deferred()
        case.body.pop("model", None)
    elif route.resource == "agent_streams":
        case.body |= camera()
        case.body.pop("notification_policy", None)
    elif route.resource == "streams":
        case.body |= {"url": "rtsp://camera.example/1", "analytics": [{"name": "face_detection"}]}
        case.body.pop("model", None)
    elif route.resource in {"node_streams", "node_stream"}:
        case.body |= {"stream_address": "rtsp://camera.example/1"}
    elif route.resource == "pipeline":
        case.body.clear()
    elif route.resource == "checkin":
        case.body |= {name: known[name] for name in ("access_key", "secret_key")}
    elif route.resource == "smart_search":
        case.body |= {"type": "image", "query": known["jpeg"], "stream_ids": [known["stream_id"]]}
        case.body.pop("analytic_ids", None)


def test_times_reach_as_far_as_the_store() -> None:
    assert MAX_MS < 10_413_792_000_000
