"""Requests and answers of the engine surface: smart search."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from query_api.types.common import Moment


class SmartSearchRequest(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Body of ``POST /smart-search``.

    Attributes:
        type: ``image``.
        query: a JPEG, base64.
        threshold: least similarity, 0..1.
        stream_ids: full ids, or their last 16 hex digits.
        analytic_ids: what to search: ``object_detection`` (appearance) or ``face_detection`` (faces).
        from_, to: wall time of the pictures, from inclusive, to exclusive.
    """

    type: Annotated[str, Meta(max_length=100)]
    query: str
    limit: Annotated[int, Meta(ge=1, le=1000)] = 10
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    stream_ids: Annotated[list[Annotated[str, Meta(max_length=36)]], Meta(max_length=1000)] | None = None
    analytic_ids: Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=100)] | None = None
    from_: Moment | None = None
    to: Moment | None = None


class SmartSearchHit(Struct, frozen=True):
    """One picture that is like the one asked for; `image_jpeg` is base64, empty when it is gone."""

    stream_id: str
    analytic_id: str
    node_num: int
    timestamp_ms: int
    similarity: float
    image_jpeg: str
    primary_text: str
    secondary_text: str


class SmartSearchAnswer(Struct, frozen=True):
    """Answer of ``POST /smart-search``; the most alike first."""

    code: int
    message: str
    results: list[SmartSearchHit]
