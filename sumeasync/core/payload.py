"""A result payload as it is kept: whole, but with the local file where a link to it stood, and no signed link."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from sumeasync.models import JSON

__all__ = ["localize"]

MAX_DEPTH = 200


def localize(payload: JSON, saved: Mapping[str, str], depth: int = 0) -> JSON:
    """A copy of `payload` in which each URL of `saved` is its file's path, and any other signed link only its host."""
    if isinstance(payload, dict) and depth < MAX_DEPTH:
        return {name: localize(value, saved, depth + 1) for name, value in payload.items()}
    if isinstance(payload, list) and depth < MAX_DEPTH:
        return [localize(value, saved, depth + 1) for value in payload]
    return _text(payload, saved) if isinstance(payload, str) else payload


def _text(text: str, saved: Mapping[str, str]) -> str:
    if text in saved:
        return saved[text]
    if not text[:8].lower().startswith(("http://", "https://")):
        return text
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return "<redacted url>"
    return f"<redacted url {host}>" if parts.query or parts.username or parts.password else text
