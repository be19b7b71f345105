"""A result payload as it is kept: whole, but with the local file where a link to it stood, and no signed link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sumeasync.core.redaction.marks import mark
from sumeasync.models import JSON

__all__ = ["localize"]

MAX_DEPTH = 200
# A text that begins as a link is one to its end, whatever is in it; inside a text it ends where no link goes on.
LINK = re.compile(r"(?is)^\s*https?://.*|(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:(?:\\*[/\\]){2}[^\s\"'<>`]+")


def localize(payload: JSON, saved: Mapping[str, str], depth: int = 0) -> JSON:
    """A copy of `payload` in which each URL of `saved` is its file's path, and any other signed link only its host."""
    if depth >= MAX_DEPTH and isinstance(payload, dict | list):
        return mark("deep")
    if isinstance(payload, dict):
        return {_text(name, saved): localize(value, saved, depth + 1) for name, value in payload.items()}
    if isinstance(payload, list):
        return [localize(value, saved, depth + 1) for value in payload]
    return _text(payload, saved) if isinstance(payload, str) else payload


def _text(text: str, saved: Mapping[str, str]) -> str:
    return saved[text] if text in saved else LINK.sub(_unsigned, text)


def _unsigned(link: re.Match[str]) -> str:
    try:
        parts = urlsplit(link[0].strip())
        signed = parts.query or parts.username or parts.password
        return mark("url", parts.hostname or "") if signed else link[0]
    except ValueError:
        return mark("url")
