"""A result payload as it is kept: whole, but with the local file where a link to it stood; no signed link, no key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sumeasync.core.redaction.marks import mark
from sumeasync.core.redaction.secrets import VENDOR_KEY
from sumeasync.models import JSON

__all__ = ["localize"]

MAX_DEPTH = 200
# A text that begins as a link is one to its end, whatever is in it; inside a text it ends where no link goes on.
LINK = re.compile(r"(?is)^\s*https?://.*|(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:(?:\\*[/\\]){2}[^\s\"'<>`]+")
ENCODED = re.compile(r"(?i)[a-z][a-z0-9+.-]*%(?:25)*3a(?:%(?:25)*(?:2f|5c)){2,}[^\s\"'<>`]+")
# What remains of a signed link that lost its beginning.
SIGNATURE = re.compile(
    r"(?i)(?<![a-z0-9])((?:x-(?:amz|goog|oss|cos|tos)-(?:signature|credential|security-token)|"
    r"(?:oss|google|aws)?accesskeyid|googleaccessid|key-pair-id|signature|sig|hmac)(?:=|%(?:25)*3d))[^\s&\"'<>`]+"
)
KEY = re.compile(VENDOR_KEY)


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
    if text in saved:
        return saved[text]
    text = LINK.sub(_unsigned, text)
    if "=" in text or "%" in text:
        text = SIGNATURE.sub(_blank, ENCODED.sub(mark("url"), text))
    return KEY.sub(mark("secret"), text)


def _blank(found: re.Match[str]) -> str:
    return found[1] + mark("secret")


def _unsigned(link: re.Match[str]) -> str:
    try:
        parts = urlsplit(link[0].strip())
        signed = parts.query or parts.fragment or parts.username or parts.password
        return mark("url", parts.hostname or "") if signed else link[0]
    except ValueError:
        return mark("url")
