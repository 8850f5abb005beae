"""The page that shows a stream, made to stand in a frame of somebody else's page."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

STYLE: Final = (
    "html,body{margin:0;height:100%;background:#000}"
    "img{display:block;width:100%;height:100%;object-fit:contain;color:#999;font:14px sans-serif}"
)
# A token is taken from the page's own address, so that it stands in no document; a picture that fails is tried again.
SCRIPT: Final = (
    '"use strict";'
    'const picture=document.querySelector("img");'
    'const token=new URLSearchParams(location.search).get("token");'
    'const address=picture.dataset.src+(token?"&token="+encodeURIComponent(token):"");'
    "let pause=1000;"
    'picture.addEventListener("load",()=>{pause=1000});'
    'picture.addEventListener("error",()=>{setTimeout(()=>{picture.src=address},pause);pause=Math.min(2*pause,30000)});'
    "picture.src=address;"
)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page_of(name: str, pictures: str) -> str:
    """The page.

    Args:
        name: of the stream.
        pictures: address of its pictures, with a query, relative to the page.
    """
    source, title = escape(pictures), escape(name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>"
        f'<img alt="{title}" data-src="{source}"><noscript><img alt="{title}" src="{source}"></noscript>'
        f"<script>{SCRIPT}</script></body></html>"
    )


def policy_of(frame_ancestors: str) -> str:
    """The page's Content-Security-Policy.

    Args:
        frame_ancestors: who may frame it; everybody when empty.
    """
    policy = (
        f"default-src 'none'; img-src 'self'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"{policy}; frame-ancestors {frame_ancestors}" if frame_ancestors else policy
