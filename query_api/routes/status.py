"""Who answers, how it is, and what it can be asked."""

from __future__ import annotations

from query_api.routes.route import HTML, JSON, PROMETHEUS, YAML, Answer, Route, Surface
from query_api.types import status

A, E, Q = Surface.AGENT, Surface.ENGINE, Surface.QUERY

ROUTES = (
    Route("GET", "/", E, "root", "Who answers here.", "read", {200: Answer("The service.", status.Root)}),
    Route("GET", "/version", A, "version", "Version of the service.", None,
          {200: Answer("The version.", status.VersionAnswer)}),
    Route("GET", "/healthcheck", A, "healthcheck", "Check the databases, and on wish the services behind.", None,
          {200: Answer("All is well.", status.Healthcheck)}, params=status.HealthcheckParams),
    Route("GET", "/health", Q, "health", "Whether the process lives.", None, {200: Answer("It does.", status.Alive)}),
    Route("GET", "/ready", Q, "ready", "Whether requests can be served, part by part.", None,
          {200: Answer("They can.", status.Readiness), 503: Answer("They cannot.", status.Readiness)}),
    Route("GET", "/metrics", Q, "metrics", "Metrics of all processes of this machine.", "read",
          {200: Answer("Prometheus' text.", None, (PROMETHEUS,))}),
    Route("GET", "/docs/spec", A, "spec", "This description: YAML, JSON, or a page to read.", None,
          {200: Answer("The description.", None, (JSON, YAML, HTML))}, refuses=(415,),
          headers={"Accept": "application/x-yaml, text/html or application/json"}),
)  # fmt: skip
