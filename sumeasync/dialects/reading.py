"""Tolerant readers, shared by the dialects: what a value of an undocumented shape most likely means.

Each takes any JSON at all and raises nothing; what cannot be read is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Literal, TypeAlias

from sumeasync.core import redact
from sumeasync.core.budget.retryafter import retry_after_seconds
from sumeasync.models import JSON, Failure, Link

__all__ = [
    "MAX_CURSOR",
    "STATUSES",
    "Status",
    "first_text",
    "links",
    "mapping",
    "read_failure",
    "read_headers",
    "read_id",
    "read_instant",
    "read_retry_after",
    "read_status",
    "read_word",
]

MAX_CURSOR = 4096
MAX_ID = 512
MAX_LINKS = 1000
MAX_NESTING = 200
MAX_TEXT = 2000
MAX_URL = 8192
MAX_WORD = 64
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2

Status: TypeAlias = Literal["queued", "running", "completed", "failed", "canceled", "expired"]

STATUSES: dict[str, Status] = {
    "queued": "queued",
    "pending": "queued",
    "submitted": "queued",
    "running": "running",
    "processing": "running",
    "in_progress": "running",
    "started": "running",
    "completed": "completed",
    "complete": "completed",
    "succeeded": "completed",
    "success": "completed",
    "done": "completed",
    "failed": "failed",
    "error": "failed",
    "canceled": "canceled",
    "cancelled": "canceled",
    "expired": "expired",
}
NOT_MEDIA = frozenset(
    f"{word}_url"
    for word in ("api", "callback", "cancel", "docs", "events", "next", "poll", "result", "status", "upload", "webhook")
)
# What was sent comes back in some answers; its links are the caller's own.
ECHOES = frozenset({"input", "inputs", "params", "request"})
CONTENT_TYPES = ("content_type", "mime_type", "media_type")


def mapping(value: JSON) -> dict[str, JSON]:
    """The value if it is an object, else an empty one."""
    return value if type(value) is dict else {}


def first_text(source: Mapping[str, JSON], *names: str) -> str | None:
    """The first of the named members that is a text with something in it, or a whole number, cut to a sane length."""
    for name in names:
        value = source.get(name)
        if type(value) is int:
            value = str(value)
        if type(value) is str and value and not value.isspace():
            return value[:MAX_TEXT]
    return None


def read_id(value: JSON, longest: int = MAX_ID) -> str | None:
    """An id as opaque text: whole numbers become text. None when it is empty, too long, or no path can carry it."""
    if type(value) is int:
        value = str(value)
    # Servers resolve dot segments even when percent-encoded: such an id would ask for something else.
    if type(value) is not str or not 0 < len(value) <= longest or value in (".", ".."):
        return None
    return value if value.isascii() or is_utf8(value) else None


def is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_headers(value: JSON) -> dict[str, str] | None:
    """A map of header names to values that can go on the wire; None when any cannot."""
    if value is None:
        return {}
    if type(value) is not dict or not all(type(text) is str or type(text) is int for text in value.values()):
        return None
    headers = {name: str(text) for name, text in value.items()}
    sound = all(TOKEN.fullmatch(name) and text.isascii() and text.isprintable() for name, text in headers.items())
    return headers if sound else None


def read_status(value: JSON) -> tuple[Status | None, str]:
    """The canonical status (None: unknown, therefore not terminal), and the server's own word in lower case."""
    if type(value) is not str:
        return None, "" if value is None else type(value).__name__
    if value in STATUSES:
        return STATUSES[value], value
    word = read_word(value).lower()
    return STATUSES.get(word.replace("-", "_").replace(" ", "_")), word


def read_word(value: JSON) -> str:
    """A word of the server's own choice, fit to be shown and cut to a sane length; empty when it is no text."""
    return redact.text(value.strip())[:MAX_WORD] if type(value) is str else ""


LONGEST_INSTANT = 64  # characters; times are kept in a cache


def read_instant(value: JSON) -> float | None:
    """Epoch seconds out of ISO 8601 text (no offset: UTC) or a number of seconds or milliseconds."""
    try:
        if type(value) is str:
            value = iso_seconds(value) if len(value) <= LONGEST_INSTANT else None
        if type(value) is int or type(value) is float:
            # 1e11 seconds lie in the year 5138, 1e11 milliseconds in 1973: nothing real is ambiguous.
            seconds = value / 1000 if value > 1e11 else float(value)
            return seconds if 0 < seconds < 1e11 else None
    except (ValueError, OverflowError):
        pass
    return None


@lru_cache(maxsize=8192)  # the same times come with every page of a list
def iso_seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return float(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds from now; None when it says nothing readable.

    A date counts from the server's own ``Date``: no clock is read here, and no two clocks are compared.
    """
    try:
        server_now = parsedate_to_datetime(headers.get("date", "")).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        server_now = math.nan
    return retry_after_seconds(headers.get("retry-after"), server_now)


def read_failure(source: Mapping[str, JSON], request_id: str | None = None) -> Failure | None:
    """What an object says went wrong, sanitized: ``error`` as an object or a text, or ``error_code`` and the like."""
    error = source.get("error")
    inner = mapping(error)
    code = first_text(inner, "code", "type") or first_text(source, "error_code")
    message = (
        first_text(inner, "message", "detail", "public_message")
        or first_text({"error": error}, "error")
        or first_text(source, "error_message", "failure_reason")
    )
    if code is None and message is None:
        return None
    request_id = first_text(inner, "request_id") or first_text(source, "request_id") or request_id
    return redact.failure(Failure(code or "", message or "", request_id))


def links(payload: JSON) -> tuple[Link, ...]:
    """Every media link of a payload: http(s) texts under ``url``, ``download`` or ``…_url`` (or their plurals)."""
    found: dict[str, Link] = {}
    for pointer, url, owner in link_texts(payload):
        if url not in found:
            content_type = first_text(owner, *CONTENT_TYPES) or ""
            found[url] = Link(pointer, url, content_type if "/" in content_type else None)
            if len(found) == MAX_LINKS:
                break
    return tuple(found.values())


def link_texts(payload: JSON) -> Iterator[tuple[str, str, Mapping[str, JSON]]]:
    """Walk in document order, on a stack of our own: (pointer, url, the object it stands in)."""
    stack = [children("", "", payload, {})]
    while stack:
        for pointer, key, value, owner in stack[-1]:
            if type(value) is str:
                if is_media_key(key, owner) and is_web_link(value):
                    yield pointer, value, owner
            elif len(stack) < MAX_NESTING:
                stack.append(children(pointer, key, value, owner))
                break
        else:
            stack.pop()


def children(
    pointer: str, key: str, value: JSON, owner: Mapping[str, JSON]
) -> Iterator[tuple[str, str, JSON, Mapping[str, JSON]]]:
    """What may hold a link, one level down: (pointer, key, value, owner). A list's items stand under its own key."""
    if type(value) is list:
        for i, item in enumerate(value):
            if may_hold_link(item):
                yield f"{pointer}/{i}", key, item, owner
    elif type(value) is dict:
        for name, item in value.items():
            if may_hold_link(item) and name not in ECHOES:
                yield f"{pointer}/{escape(name)}", name, item, value


def may_hold_link(value: JSON) -> bool:
    return type(value) is dict or type(value) is list or (type(value) is str and value[:4].lower() == "http")


def escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def is_media_key(key: str, owner: Mapping[str, JSON]) -> bool:
    key = key.removesuffix("s") if key.endswith("urls") else key
    if key not in ("url", "download") and not key.endswith("_url"):
        return False
    if key in NOT_MEDIA or key.startswith("reference_"):
        return False
    # Beside the clip, the object's plain or source link is what the clip was cut from.
    is_source = key == "url" or key.startswith(("source_", "original_"))
    return not (is_source and is_web_link(owner.get("clip_url")))


def is_web_link(value: JSON) -> bool:
    return (
        type(value) is str
        and len(value) <= MAX_URL
        and value[:8].lower().startswith(("https://", "http://"))
        and value.isprintable()
        and " " not in value
    )
