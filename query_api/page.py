"""The description as a page to read: self-contained, no script, nothing fetched."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

from query_api.errors import CODES_EXPLAINED

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem; overflow: auto; border-radius: .3rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
"""


def page_of(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    info = document["info"]
    groups = "".join(_group(tag["name"], document) for tag in document["tags"])
    codes = "".join(
        f'<tr id="error-{code}"><td><code>{code}</code></td><td>{escape(says)}</td></tr>'
        for code, says in CODES_EXPLAINED.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f"{groups}<h2>Error codes of the agent surface</h2><table>{codes}</table><h2>Schemas</h2>{schemas}"
        "</body></html>"
    )


def _group(tag: str, document: dict[str, Any]) -> str:
    shown = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    )
    return f"<h2>{escape(tag)}</h2>{shown}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    params = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}{', required' if p['required'] else ''}</td>"
        f"<td>{escape(p.get('description') or _brief(p['schema']))}</td></tr>"
        for p in operation["parameters"]
    )
    body = "".join(
        f"<p>Body: <code>{escape(media)}</code> {_linked(content['schema'])}</p>"
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{escape(answer['description'])}</td><td>{_contents(answer)}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"{_needed(operation)}<table>{params}</table>{body}<table>{answers}</table></details>"
    )


def _needed(operation: dict[str, Any]) -> str:
    scopes = {scope for way in operation.get("security", ()) for named in way.values() for scope in named}
    return "".join(f"<p>Needs a token with the scope <code>{escape(scope)}</code>.</p>" for scope in sorted(scopes))


def _contents(answer: dict[str, Any]) -> str:
    return "<br>".join(
        f"<code>{escape(media)}</code> {_linked(content['schema'])}"
        for media, content in answer.get("content", {}).items()
    )


def _linked(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>' if name else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
    head = f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
    return f"{head}<pre>{escape(text)}</pre></details>"


def _brief(schema: dict[str, Any]) -> str:
    return msgspec.json.encode(schema).decode()
