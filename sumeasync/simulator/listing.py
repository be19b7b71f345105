"""Pages of a growing list, newest first, oldest first or in a fixed random order.

A cursor names a position and the length of the list when the walk began, so that a walk yields every entry that
was there at its start exactly once, whatever is added meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from sumeasync.errors import BadRequestError
from sumeasync.models import JSON

__all__ = ["Order", "list_envelope", "page", "read_limit"]

Order = Literal["newest", "oldest", "random"]
Entry = TypeVar("Entry")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def read_limit(query: Mapping[str, str]) -> int:
    """Return the page length asked for; raise `BadRequestError` outside 1 to 100."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequestError(f"limit must be 1 to {MAX_LIMIT}", status=400, code="bad_request")
    return int(text)


def page(
    entries: Sequence[Entry], keep: Callable[[Entry], bool], *, order: Order, cursor: str | None, limit: int
) -> tuple[list[Entry], str | None]:
    """Return up to `limit` entries that are to be kept, and the cursor of the next page when there is one."""
    position, total = _read_cursor(cursor) if cursor else (0, len(entries))
    if not 0 <= position <= total <= len(entries):
        raise _bad_cursor()
    step = _coprime(total)
    found: list[Entry] = []
    while position < total:
        entry = entries[_index(order, position, total, step)]
        if keep(entry):
            if len(found) == limit:
                return found, f"cur_{position:x}_{total:x}"
            found.append(entry)
        position += 1
    return found, None


def list_envelope(data: list[JSON], next_cursor: str | None) -> JSON:
    """Return the documented envelope of a list."""
    return {"object": "list", "data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}


def _index(order: Order, position: int, total: int, step: int) -> int:
    if order == "oldest":
        return position
    if order == "newest":
        return total - 1 - position
    return position * step % total


def _coprime(total: int) -> int:
    """Return a step that visits every index of a list of that length once, far from its neighbours."""
    step = max(1, int(total * 0.618))
    while math.gcd(step, total) > 1:
        step += 1
    return step


def _read_cursor(cursor: str) -> tuple[int, int]:
    parts = cursor.split("_")
    if len(parts) != 3 or parts[0] != "cur":
        raise _bad_cursor()
    try:
        return int(parts[1], 16), int(parts[2], 16)
    except ValueError:
        raise _bad_cursor() from None


def _bad_cursor() -> BadRequestError:
    return BadRequestError("the cursor is not one of ours", status=400, code="bad_request")
