"""What may be shown: the one place that decides it.

For logs, the console, error texts, reports, `repr` and the journal. Two ideas hold it up. **Fields by allow-list**: a
field passes when its name is known and its value has the shape that name promises; any other value is named by kind
and size, as in ``<redacted url media.sume.so>``, ``<redacted text 18 kB>`` or ``<redacted list 12>``; plain numbers
and booleans pass unless their name tells of somebody. **Scrubbed text**: the few free texts go through a table of
rules that leave a mark for every secret and keep the rest.

Whatever is given, nothing here raises, and the output is JSON-safe, printable, and bounded: an event's JSON line
stays under `MAX_LINE` bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import islice

from sumeasync.core.redaction import errors, fields
from sumeasync.core.redaction import text as texts
from sumeasync.core.redaction.links import url
from sumeasync.core.redaction.marks import escape, mark, size
from sumeasync.core.redaction.shapes import word
from sumeasync.models import JSON, Failure

__all__ = ["MAX_LINE", "error", "error_line", "escape", "event", "failure", "text", "url", "value"]

MAX_LINE = 16_000
"""The most bytes an event takes as one line of ASCII JSON."""

_BUDGET = MAX_LINE - 400
_MAX_MESSAGE = 64_000
_FIRST = ("timestamp", "level", "logger", "event", "key", "job_id", "type", "status", "code", "error", "request_id")
_EXCEPTION = frozenset({"exc_info", "exception", "stack_info", "stack", "exc_text"})
_SPECIAL = _EXCEPTION | {"event"}
_PRIVATE = frozenset({"positional_args", "_record", "_from_structlog", "_name", "_logger"})
_WIDE = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\d{3}|\*)")

text = texts.text
error = errors.error
error_line = errors.one_line
value = fields.value


def failure(given: Failure) -> Failure:
    """Return a failure fit to be shown and kept: its code a single word, its message scrubbed, its request id an id."""
    return Failure(
        code=str(value("code", given.code)) if given.code else "",
        message=text(given.message),
        request_id=None if given.request_id is None else str(value("request_id", given.request_id)),
        http_status=given.http_status,
    )


def event(given: Mapping[str, object]) -> dict[str, JSON]:
    """Return a log event fit to be shown.

    `exc_info` (True, an exception or a triple), `exception` and `stack_info` (printed traces) become one-line texts;
    `positional_args` are sanitized one by one, then put into the event's text. Fields beyond the budget are counted
    in `omitted`.
    """
    result: dict[str, JSON] = {}
    room = fields.Room()
    budget, omitted = _BUDGET, max(0, len(given) - fields.MAX_FIELDS)
    for name, item in _ordered(given):
        if name in _PRIVATE:
            continue
        known = fields.plan(name)
        shown = _special(name, item, given) if name in _SPECIAL else fields.shown(known, item, room)
        if name in _EXCEPTION and shown is None:
            continue
        budget -= _cost(shown) + len(known.name) + 8
        if budget < 0:
            budget, omitted = budget + _cost(shown), omitted + 1
            continue
        result[_label(result, name, known)] = shown
    if omitted:
        result["omitted"] = omitted
    return result


def _ordered(given: Mapping[str, object]) -> list[tuple[str, object]]:
    if len(given) <= 12:
        pairs = list(given.items())
        if all(type(name) is str and len(name) <= 200 for name, _ in pairs):
            return pairs
    first = [(name, given[name]) for name in (*_FIRST, *sorted(_EXCEPTION)) if name in given]
    rest = islice(given.items(), fields.MAX_FIELDS + len(_FIRST))
    others = [(fields.field_name(name), item) for name, item in rest]
    done = {name for name, _ in first}
    return (first + [pair for pair in others if pair[0] not in done])[: fields.MAX_FIELDS + len(_PRIVATE)]


def _label(result: dict[str, JSON], name: str, known: fields.Plan) -> str:
    if name == "exc_info":
        return "exception"
    return known.name if known.name not in result else fields.free(result, known.name)


def _special(name: str, item: object, given: Mapping[str, object]) -> JSON:
    try:
        return _event(item, given.get("positional_args")) if name == "event" else _exception(item)
    except Exception:  # whatever an object does to be read, the record is written
        return mark("object")


def _exception(item: object) -> JSON:
    if item is True:
        item = sys.exc_info()[1]
    if type(item) is tuple and len(item) == 3:
        item = item[1]
    if item is None or item is False:
        return None
    if issubclass(type(item), BaseException):
        return errors.one_line(item)  # type: ignore[arg-type]  # narrowed by its class
    return texts.trace(texts.exact(item)) if issubclass(type(item), str) else fields.named(item)  # type: ignore[arg-type]


def _event(item: object, args: object) -> JSON:
    if not issubclass(type(item), str):
        return fields.value("event", item)
    said = texts.exact(item)  # type: ignore[arg-type]  # narrowed by its class
    if args:
        said = _interpolated(said, args)
    elif (name := word(said) if len(said) <= 80 else None) is not None:
        return name
    return texts.trace(said) if 'File "' in said and len(said) <= _MAX_MESSAGE else text(said)


def _interpolated(said: str, args: object) -> str:
    """Format like `logging` does, with arguments that run no code and widths that fill no memory."""
    if len(said) > _MAX_MESSAGE:
        return said
    safe: JSON = _arguments(args)
    try:
        if not _WIDE.search(said):
            return str(said % safe)
    except (TypeError, ValueError, KeyError, OverflowError):
        pass
    return " ".join([said, *map(str, safe.values() if isinstance(safe, dict) else safe)])


def _arguments(args: object) -> JSON:
    if type(args) is tuple and len(args) == 1 and type(args[0]) is dict:
        args = args[0]
    if type(args) is dict:
        return {str(name)[:80]: _argument(item) for name, item in islice(args.items(), 32) if type(name) is str}
    return tuple(_argument(item) for item in islice(args, 32)) if type(args) in (tuple, list) else (_argument(args),)  # type: ignore[call-overload]


def _argument(item: object) -> JSON:
    kind = type(item)
    if item is None or kind is bool or kind is float:
        return item
    if kind is int:
        return item if item.bit_length() <= 64 else mark("number")  # type: ignore[attr-defined]  # a plain int
    if kind is str:
        return item if len(item) <= texts.LIMIT else mark("text", size(len(item)))  # type: ignore[arg-type]  # a plain str
    try:
        if issubclass(kind, BaseException):
            return errors.one_line(item, frames=False)  # type: ignore[arg-type]  # narrowed by its class
        return fields.named(item)
    except Exception:  # an object that fights back is still only an object
        return mark("object")


def _cost(shown: JSON) -> int:
    """Bound the bytes a value takes as ASCII JSON, from above."""
    kind = type(shown)
    if kind is str:
        return 2 * len(shown) + 2 if shown.isascii() else 12 * len(shown) + 2
    if kind is dict:
        return sum(_cost(name) + _cost(item) + 4 for name, item in shown.items()) + 2
    if kind is list:
        return sum(_cost(item) + 2 for item in shown) + 2
    return 26
