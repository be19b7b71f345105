"""Fields of an event: which names may be shown, as what, and how everything else is named.

Nothing is asked of a value: only plain types are read, every other object is named by its class. A container is
opened only under a name that is known to hold fields of ours, and then field by field.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import re
import uuid
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from sumeasync.core.redaction.errors import one_line, type_name
from sumeasync.core.redaction.links import host_of, local_path
from sumeasync.core.redaction.marks import mark, size
from sumeasync.core.redaction.names import canonical, numeric_is_safe, sensitivity
from sumeasync.core.redaction.shapes import FIELDS, OPEN, Show, own_id
from sumeasync.core.redaction.text import LIMIT, exact, scrub, text
from sumeasync.models import JSON

__all__ = [
    "MAX_FIELDS",
    "Plan",
    "Room",
    "field_name",
    "free",
    "named",
    "plan",
    "shown",
    "value",
]

MAX_ITEMS = 20
MAX_FIELDS = 48
MAX_DEPTH = 4

_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}|[0-9]{1,3}")


class Room:
    """How much may still be read for one event: characters of text, and 20 for any other value."""

    __slots__ = ("left",)

    def __init__(self, left: int = 20_000) -> None:
        self.left = left


class Plan(NamedTuple):
    """What is known of a name: how to write it, how to show its strings, whether its numbers are harmless."""

    name: str
    show: Show | None
    counts: bool
    opened: bool


@lru_cache(maxsize=4096)
def plan(name: str) -> Plan:
    """Look a name up, in any spelling."""
    snake = canonical(name)
    fits = _PARAMETER.fullmatch(name) and (snake in FIELDS or scrub(name) == name)
    shown = name if fits else mark("name", size(len(name)))
    show = FIELDS.get(snake)
    counts = numeric_is_safe(name) if show is None else show is not own_id
    return Plan(shown, show, counts, snake in OPEN)


def named(given: object) -> str:
    """Name a value by its kind and size: ``<redacted list 12>``; a URL also by its host."""
    kind = type(given)
    if issubclass(kind, str):
        return _named_text(exact(given))  # type: ignore[arg-type]  # narrowed by its class
    for base, word in ((bytes, "bytes"), (bytearray, "bytes"), (memoryview, "bytes"), *_CONTAINERS):
        if issubclass(kind, base):
            return mark(word, size(base.__len__(given)))  # type: ignore[attr-defined]  # every base is sized
    if issubclass(kind, int | float):
        return mark("number")
    if kind.__module__ == "yarl" or kind.__module__.startswith("yarl."):
        return _named_text(str(given))
    return mark("path") if issubclass(kind, pathlib.PurePath) else mark("object", type_name(given))


_CONTAINERS: tuple[tuple[type, str], ...] = (
    (list, "list"), (tuple, "tuple"), (set, "set"), (frozenset, "set"), (dict, "dict"),
)  # fmt: skip


def _named_text(given: str) -> str:
    if len(given) <= 8192 and re.match(r"[a-z][a-z0-9+.-]*://", given, re.IGNORECASE):
        return mark("url", host_of(given))
    return mark("path") if len(given) <= 4096 and local_path(given) else mark("text", size(len(given)))


def value(name: str, given: object) -> JSON:
    """Return the field `name` fit to be shown, as JSON. Never raises."""
    return shown(plan(name[:200]), given, Room())


def shown(known: Plan, given: object, room: Room, depth: int = 0) -> JSON:
    """Return a value under what is known of its name, as far as there is room."""
    kind = type(given)
    room.left -= 20
    if kind is str:
        return _string(known, given, room)  # type: ignore[arg-type]  # narrowed by its class
    if given is None or kind is bool:
        return given
    if kind is int or kind is float:
        return _number(known, given)  # type: ignore[arg-type]  # narrowed by its class
    try:
        return _other(known, given, room, depth) if room.left > 0 else named(given)
    except Exception:  # an object that fights back is still only an object
        return mark("object")


def _string(known: Plan, given: str, room: Room) -> str:
    if known.show is text:
        room.left -= min(len(given), LIMIT)
        return text(given) if room.left > -LIMIT else _named_text(given)
    fit = known.show(given) if known.show and len(given) <= 2000 else None
    return fit if fit is not None else _named_text(given)


def _number(known: Plan, given: float) -> JSON:
    if not known.counts:
        return mark("number")
    if isinstance(given, int):
        most = 2**63 if known.show or numeric_is_measure(known.name) else 10**10
        return given if -most < given < most else mark("number", size(given.bit_length()) + " bits")
    if math.isfinite(given):
        return given
    return "NaN" if math.isnan(given) else "Infinity" if given > 0 else "-Infinity"


@lru_cache(maxsize=1024)
def numeric_is_measure(name: str) -> bool:
    """Whether a name ends in a unit, so that its number may be large."""
    return canonical(name).rpartition("_")[2] in {"bytes", "size", "ms", "ns", "us", "at", "count", "total", "offset"}


def _other(known: Plan, given: object, room: Room, depth: int) -> JSON:
    plain = _plain_value(given)
    if plain is not None:
        return shown(known, plain, room, depth)
    if isinstance(given, BaseException):
        room.left -= LIMIT
        return one_line(given, frames=False) if known.show is text else mark("object", type_name(given))
    kind = type(given)
    if issubclass(kind, list | tuple | set | frozenset) and not hasattr(kind, "_fields"):
        return _items(known, given, room, depth) if (known.show or known.opened) and depth < MAX_DEPTH else named(given)
    fields = _fields(given) if known.opened and depth < MAX_DEPTH else None
    return named(given) if fields is None else _mapping(fields, room, depth + 1)


def _plain_value(given: object) -> JSON:
    """Read the few value types that stand for a string or a number, and plain subclasses of those two."""
    kind = type(given)
    if issubclass(kind, str):
        return exact(given)  # type: ignore[arg-type]  # narrowed by its class
    if issubclass(kind, int):
        return int.__int__(given)  # type: ignore[arg-type]  # narrowed by its class
    if issubclass(kind, enum.Enum):
        return exact(inner) if isinstance(inner := object.__getattribute__(given, "_value_"), str) else None
    if issubclass(kind, float):
        return float.__float__(given)  # type: ignore[arg-type]  # narrowed by its class
    if kind in (datetime.datetime, datetime.date, datetime.time):
        return given.isoformat()  # type: ignore[attr-defined]  # narrowed by its class
    if kind is datetime.timedelta:
        return given.total_seconds()  # type: ignore[attr-defined]  # narrowed by its class
    if kind is decimal.Decimal:
        return float(given)  # type: ignore[arg-type]  # narrowed by its class
    if kind is uuid.UUID or issubclass(kind, pathlib.PurePath):
        return str(given) if kind.__module__ in ("uuid", "pathlib", "pathlib._local") else None
    return None


def _items(known: Plan, given: object, room: Room, depth: int) -> JSON:
    base = next(base for base, _ in _CONTAINERS if issubclass(type(given), base))
    some = list(islice(base.__iter__(given), MAX_ITEMS))  # type: ignore[attr-defined]  # every base above is sized
    if any(type(item) is str and len(item) <= 64 and sensitivity(item) in ("secret", "line") for item in some):
        return named(given)  # a telling name with its value after it
    items = [shown(known, item, room, depth + 1) for item in some]
    if issubclass(base, set | frozenset):
        items.sort(key=str)
    rest = base.__len__(given) - len(some)  # type: ignore[attr-defined]  # likewise
    return [*items, mark("list", f"{rest} more")] if rest else items


def _fields(given: object) -> Iterable[tuple[object, object]] | None:
    kind = type(given)
    if issubclass(kind, dict):
        return dict.items(given)  # type: ignore[arg-type]  # narrowed by its class
    names = getattr(kind, "__struct_fields__", None) or getattr(kind, "__dataclass_fields__", None)
    if names is None:
        return None
    return [(name, object.__getattribute__(given, name)) for name in islice(names, MAX_FIELDS)]


def _mapping(fields: Iterable[tuple[object, object]], room: Room, depth: int) -> dict[str, JSON]:
    result: dict[str, JSON] = {}
    for name, given in islice(fields, MAX_FIELDS):
        known = plan(field_name(name))
        result[free(result, known.name)] = shown(known, given, room, depth)
    return result


def field_name(name: object) -> str:
    """Return a dict key as a name: a string, or a small number such as an HTTP status."""
    if issubclass(type(name), str):
        return exact(name)[:200]  # type: ignore[arg-type]  # narrowed by its class
    return str(name) if type(name) is int and 0 <= name < 1000 else "?"


def free(taken: dict[str, JSON], name: str) -> str:
    """Return `name`, or the first of `name_2`, `name_3`, … that is not taken."""
    if name not in taken:
        return name
    return next(other for n in range(2, MAX_FIELDS + 3) if (other := f"{name}_{n}") not in taken)
