"""Exceptions as values: what they are, what they say, where they were, and what led to them.

No code of the exception runs: its text is rebuilt from its arguments, not asked of a `__str__` that may raise, or
hold a signed link. A traceback gives file, line and function; never a source line, never a local variable.
"""

from __future__ import annotations

import re
from itertools import islice
from types import TracebackType

from sumeasync.core.redaction.ids import ID
from sumeasync.core.redaction.marks import mark
from sumeasync.core.redaction.text import LIMIT, exact, is_clean, text
from sumeasync.models import JSON

__all__ = ["error", "one_line", "type_name"]

_DEPTH = 8  # links of one chain, and levels of groups
_WIDTH = 8  # members of a group, notes, arguments
_FRAMES = 16
_WORD = re.compile(r"[A-Za-z_][\w.-]{0,63}")


def error(exc: BaseException) -> dict[str, JSON]:
    """Return an exception as JSON: `type` and `message`; and where there are any `status`, `code`, `request_id`,
    `frames` (``file.py:12:function``, outermost first), `notes`, `errors` (of a group), `cause` or `context`.
    """
    return _error(exc, set(), _DEPTH)


def _error(exc: BaseException, seen: set[int], depth: int) -> dict[str, JSON]:
    seen.add(id(exc))
    shown: dict[str, JSON] = {"type": type_name(exc), "message": _message(exc), **_known(exc)}
    if frames := _frames(_slot(exc, BaseException, "__traceback__")):
        shown["frames"] = frames
    notes = _attributes(exc).get("__notes__")
    if type(notes) is list and notes:
        shown["notes"] = [_argument(note) for note in notes[:_WIDTH]]
    if depth <= 1:
        return shown
    if issubclass(type(exc), BaseExceptionGroup):
        members = _slot(exc, BaseExceptionGroup, "exceptions")
        inner = [e for e in islice(members, _WIDTH) if id(e) not in seen and len(seen) < 4 * _WIDTH]
        shown["errors"] = [_error(e, seen, depth - 1) for e in inner if id(e) not in seen]
    for name, slot in (("cause", "__cause__"), ("context", "__context__")):
        linked = _slot(exc, BaseException, slot)
        hidden = name == "context" and _slot(exc, BaseException, "__suppress_context__")
        if linked is not None and not hidden and id(linked) not in seen and len(seen) < 4 * _WIDTH:
            shown[name] = _error(linked, seen, depth - 1)
    return shown


def one_line(exc: BaseException, *, frames: bool = True) -> str:
    """Return an exception with all that led to it as one line of at most `LIMIT` characters."""
    line = _joined(error(exc), frames)
    return line if len(line) <= LIMIT else line[: LIMIT - 1] + "…"


def _joined(shown: dict[str, JSON], frames: bool) -> str:
    line = f"{shown['type']}: {shown['message']}" if shown["message"] else f"{shown['type']}"
    if frames and "frames" in shown:
        line += f" [{' > '.join(shown['frames'])}]"
    line += "".join(f" ({note})" for note in shown.get("notes", ()))
    if "errors" in shown:
        line += " {" + "; ".join(_joined(inner, frames) for inner in shown["errors"]) + "}"
    for name, words in (("cause", "caused by"), ("context", "while handling")):
        if name in shown:
            line += f" | {words} {_joined(shown[name], frames)}"
    return line


def type_name(value: object) -> str:
    """Return the name of a value's class, unless the name itself must not be shown."""
    name = exact(type.__dict__["__name__"].__get__(type(value)))
    return name if _WORD.fullmatch(name) and is_clean(name) else "object"


def _slot(exc: BaseException, owner: type, name: str) -> JSON:
    """Read a built-in attribute past whatever a subclass put over it."""
    return owner.__dict__[name].__get__(exc)


def _attributes(exc: BaseException) -> dict[str, object]:
    try:
        found = object.__getattribute__(exc, "__dict__")
    except Exception:
        return {}
    return found if type(found) is dict else {}


def _message(exc: BaseException) -> str:
    if issubclass(type(exc), OSError) and _slot(exc, OSError, "strerror") is not None:
        number, words = _slot(exc, OSError, "errno"), _slot(exc, OSError, "strerror")
        return text(f"[Errno {_argument(number)}] {_argument(words)}")
    if issubclass(type(exc), UnicodeError) and len(_slot(exc, BaseException, "args")) == 5:
        return text(str(_argument(_slot(exc, BaseException, "args")[4])))
    args = _slot(exc, BaseException, "args")
    said = [_argument(arg) for arg in islice(args, _WIDTH) if issubclass(type(arg), str | int | float | bytes)]
    if not said and type(given := _attributes(exc).get("message")) is str:
        said = [text(given)]
    return text("; ".join(map(str, said)), 2 * LIMIT) if said else ""


def _argument(arg: object) -> str:
    kind = type(arg)
    if issubclass(kind, str):
        return text(exact(arg))  # type: ignore[arg-type]  # narrowed by its class, which cannot be overridden
    if type(arg) in (int, float, bool) and -1e15 < arg < 1e15:  # type: ignore[operator]  # a plain number
        return str(arg)
    return mark("object", type_name(arg))


def _known(exc: BaseException) -> dict[str, JSON]:
    """What this package's errors and HTTP errors carry besides their text."""
    attributes, shown = _attributes(exc), dict[str, JSON]()
    status, code, request_id = (attributes.get(name) for name in ("status", "code", "request_id"))
    if type(status) is int and 0 <= status < 1000:
        shown["status"] = status
    if type(code) is str and _WORD.fullmatch(code) and is_clean(code):
        shown["code"] = code
    if type(request_id) is str and ID.fullmatch(request_id):
        shown["request_id"] = request_id
    return shown


def _frames(traceback: TracebackType | None) -> list[str]:
    places: list[str] = []
    for _ in range(10_000):
        if traceback is None:
            break
        code = traceback.tb_frame.f_code
        name = re.split(r"[/\\]", code.co_filename)[-1]
        place = f"{name}:{traceback.tb_lineno}:{code.co_name}"
        places.append(place)
        traceback = traceback.tb_next
    if len(places) > _FRAMES:
        places = [*places[:4], "…", *places[4 - _FRAMES :]]
    return [text(place, 200) for place in places]
