"""The engine surface's routes."""

from __future__ import annotations

from typing import Any

from query_api.routes.route import JSON, Answer, Route, Surface
from query_api.types import engine

E = Surface.ENGINE
STREAM = "/streams/{node_num:int}/{stream_id:word}"
PIPELINE = "/pipeline/{node_num:int}/{stream_id:word}/{analytic_id:word}"
_OBJECT = dict[str, Any]

STREAMS = (
    Route("GET", "/streams", E, "engine_streams", "Every stream.", "read",
          {200: Answer("The streams.", engine.EngineStreams)}),
    Route("GET", "/streams/{node_num:int}", E, "node_streams", "The streams of a node.", "read",
          {200: Answer("The streams.", engine.EngineStreams)}),
    Route("POST", "/streams/{node_num:int}", E, "node_streams", "Watch a camera, a URL or a file.", "write",
          {200: Answer("It is being watched.", engine.StreamCreated)},
          body=engine.EngineStreamRequest, body_media=(JSON,)),
    Route("GET", STREAM, E, "node_stream", "A stream, its pipelines, and how it runs.", "read",
          {200: Answer("The stream.", engine.EngineStreamDetail)}),
    Route("PUT", STREAM, E, "node_stream", "Change what is given; another address begins a new run.", "write",
          {200: Answer("It is changed.", engine.StreamChanged)},
          body=engine.EngineStreamChange, body_media=(JSON,)),
    Route("DELETE", STREAM, E, "node_stream", "Remove a stream and all that it left.", "write",
          {200: Answer("It is gone.", engine.StreamDeleted)}),
    Route("POST", PIPELINE, E, "pipeline", "Run an analytic on a stream, configured by the body.", "write",
          {200: Answer("It runs.", engine.PipelineAnswer)}, body=_OBJECT, body_media=(JSON,), refuses=(409,)),
    Route("DELETE", PIPELINE, E, "pipeline", "Run an analytic on a stream no longer.", "write",
          {200: Answer("It runs no longer.", engine.PipelineAnswer)}),
)  # fmt: skip

SYSTEM = (
    Route("GET", "/node_status", E, "node_status", "Every node, and whether it is online.", "read",
          {200: Answer("The nodes.", engine.NodeStatusAnswer)}),
    Route("GET", "/resource_stats", E, "resource_stats", "How busy the nodes are.", "read",
          {200: Answer("The nodes that are online.", engine.ResourceStats)}),
    Route("GET", "/v2/resource_stats", E, "resource_stats", "How busy the nodes are, and where.", "read",
          {200: Answer("The nodes that are online.", engine.AddressedResourceStats)}, suffix="v2"),
    Route("POST", "/system/restart", E, "restart",
          "Have ingest hosts and all workers end what they have begun, and begin again; streams go on.", "write",
          {200: Answer("It begins.", engine.Done)}),
)  # fmt: skip

ANALYTICS = (
    Route("GET", "/analytic_list", E, "analytic_list", "The analytics that there are, with their seats.", "read",
          {200: Answer("The registry.", engine.AnalyticList)}),
    Route("GET", "/config/pipeline/{analytic_id:word}", E, "analytic", "JSON Schema of an analytic's configuration.",
          "read", {200: Answer("The schema.", _OBJECT)}, suffix="schema"),
    Route("GET", "/v2/config/pipeline/{analytic_id:word}", E, "analytic",
          "JSON Schema of an analytic's configuration, with all its parts.", "read",
          {200: Answer("The schema.", _OBJECT)}, suffix="schema_v2"),
    Route("GET", "/rules/pipeline/{analytic_id:word}", E, "analytic", "What an analytic's configuration decides by.",
          "read", {200: Answer("The rules; empty where it has none.", _OBJECT)}, suffix="rules"),
    Route("GET", "/config/preset/{analytic_id:word}", E, "analytic", "Configurations to begin with.", "read",
          {200: Answer("Configurations by name.", _OBJECT)}, suffix="presets"),
    Route("POST", "/smart-search", E, "smart_search", "Pictures that are like this one.", "read",
          {200: Answer("The most alike first.", engine.SmartSearchAnswer)},
          body=engine.SmartSearchRequest, body_media=(JSON,), refuses=(404, 422)),
)  # fmt: skip

CONFIGURATION = (
    Route("GET", "/config/platform", E, "platform", "The platform's configuration.", "read",
          {200: Answer("As it holds.", engine.PlatformAnswer)}),
    Route("POST", "/config/platform", E, "platform", "Change what is given of the platform's configuration.", "write",
          {200: Answer("As it holds now.", engine.PlatformAnswer)}, body=engine.PlatformChange, body_media=(JSON,),
          wrong="invalid configuration value"),
    Route("GET", "/database/stats", E, "database", "How full the analytics database's disks are.", "read",
          {200: Answer("In bytes.", engine.DatabaseStats)}, suffix="stats"),
    Route("GET", "/config/database", E, "database", "What is kept of streams.", "read",
          {200: Answer("As it holds.", engine.DatabaseAnswer)}),
    Route("PUT", "/config/database", E, "database", "Change what is kept of streams.", "write",
          {200: Answer("As it holds now.", engine.DatabaseAnswer)}, body=engine.DatabaseChange, body_media=(JSON,)),
    Route("GET", "/config/checkin", E, "checkin", "How the check-in stands. Nothing is locked without one.", "read",
          {200: Answer("The check-in.", engine.CheckinAnswer)}),
    Route("POST", "/config/checkin", E, "checkin", "Check in with a key pair that was issued.", "write",
          {200: Answer("The check-in.", engine.CheckinAnswer)}, body=engine.CheckinRequest, body_media=(JSON,)),
    Route("DELETE", "/config/checkin", E, "checkin", "Forget the check-in.", "write",
          {200: Answer("It is forgotten.", engine.Done)}),
)  # fmt: skip

ROUTES = (*STREAMS, *SYSTEM, *ANALYTICS, *CONFIGURATION)
