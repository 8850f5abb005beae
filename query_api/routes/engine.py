"""The engine surface's routes."""

from __future__ import annotations

from query_api.routes.route import JSON, Answer, Route, Surface
from query_api.types import engine

E = Surface.ENGINE

ROUTES = (
    Route("POST", "/smart-search", E, "smart_search", "Pictures that are like this one.", "read",
          {200: Answer("The most alike first.", engine.SmartSearchAnswer)},
          body=engine.SmartSearchRequest, body_media=(JSON,), refuses=(404, 422)),
)  # fmt: skip
