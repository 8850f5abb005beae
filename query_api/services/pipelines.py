"""Pipelines: the analytics of a stream, attached and removed while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from core.analytics import validate
from core.errors import Conflict, InvalidInput, ModelError, NotFound
from core.messages import Analytic, StreamSpec
from core.profile import AnalyticProfile, StreamProfile, profile_of
from inference.cards import load_card
from query_api.ports import Collaborators
from query_api.services.engine_streams import NodeStreams, check_json, kept
from query_api.services.registry import Registry
from query_api.services.submissions import labelled
from query_api.types.engine import PipelineAnswer
from warehouse.control.rows import StreamRow

MOST_BYTES = 256 * 1024


class Pipelines:
    """One pipeline of an analytic on a stream; blocking. Raises NotFound for what is not there."""

    def __init__(self, parts: Collaborators, streams: NodeStreams, registry: Registry) -> None:
        self._parts = parts
        self._streams = streams
        self._registry = registry

    def attach(self, node_num: int, engine_id: str, analytic_id: str, configuration: dict[str, Any]) -> PipelineAnswer:
        """Run an analytic on a stream; its run goes on.

        Raises:
            InvalidInput: a configuration that the analytic does not take.
            Conflict: it runs there already, or all its seats are taken.
        """
        row = self._streams.row(node_num, engine_id)
        self._registry.declared(analytic_id)
        analytic = self._configured(analytic_id, configuration, row.spec.model)

        def attached(old: StreamRow) -> tuple[StreamSpec, dict[str, Any]]:
            if _place(old.spec, analytic_id) is not None:
                raise Conflict("pipeline already exists: remove it first")
            spec = replace(old.spec, analytics=(*old.spec.analytics, analytic))
            return spec, kept(old.extra, _with_one_more(profile_of(old.extra), len(old.spec.analytics)))

        self._parts.control.change_stream(row.stream_id, attached)
        return PipelineAnswer(analytic_id, 200, "pipeline successfully created", node_num, row.engine_id)

    def remove(self, node_num: int, engine_id: str, analytic_id: str) -> PipelineAnswer:
        """Run it no longer."""
        row = self._streams.row(node_num, engine_id)

        def removed(old: StreamRow) -> tuple[StreamSpec, dict[str, Any]]:
            at = _place(old.spec, analytic_id)
            if at is None:
                raise NotFound("pipeline not found")
            profile = profile_of(old.extra)
            spec = replace(old.spec, analytics=_without(old.spec.analytics, at))
            return spec, kept(old.extra, replace(profile, analytics=_without(profile.analytics, at)))

        self._parts.control.change_stream(row.stream_id, removed)
        return PipelineAnswer(analytic_id, 200, "pipeline successfully deleted", node_num, row.engine_id)

    def _configured(self, analytic_id: str, configuration: dict[str, Any], model: str) -> Analytic:
        check_json(configuration, "", MOST_BYTES)
        try:
            valid = validate(Analytic(analytic_id, configuration))
        except InvalidInput as error:
            raise InvalidInput(str(error), error.field.removeprefix("parameters").lstrip(".")) from error
        try:
            known: Sequence[str] = load_card(self._parts.models_dir, model).labels
        except ModelError:  # nothing is known of the model here
            known = ()
        return labelled(valid, known, "labels")


def _place(spec: StreamSpec, analytic_id: str) -> int | None:
    """Where an analytic stands among a stream's."""
    return next((at for at, analytic in enumerate(spec.analytics) if analytic.name == analytic_id), None)


def _with_one_more(profile: StreamProfile, analytics: int) -> StreamProfile:
    """Of a stream that has so many analytics and gets one more: what is kept stands at the place of its analytic."""
    if not profile.analytics:
        return profile
    missing = analytics + 1 - len(profile.analytics)
    return replace(profile, analytics=(*profile.analytics, *(AnalyticProfile() for _ in range(missing))))


def _without(items: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return items[:at] + items[at + 1 :]
