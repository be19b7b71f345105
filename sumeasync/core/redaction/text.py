"""Free text: the rules in their order, and what they all rest on.

Nothing here trusts a text. It is cut to a limit first, so every rule is bounded; then each rule of `RULES` takes one
kind of secret out; then what is left is escaped onto one line.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from urllib.parse import unquote

from sumeasync.core.redaction.ids import ID, ID_RULES
from sumeasync.core.redaction.links import LINK_RULES, PATH_RULES
from sumeasync.core.redaction.marks import Rule, escape, mark, size
from sumeasync.core.redaction.names import sensitivity
from sumeasync.core.redaction.secrets import PEM_RULE, SECRET_RULES

__all__ = ["LIMIT", "RULES", "exact", "is_clean", "scrub", "text", "trace"]

LIMIT = 2000
_TRACE_LIMIT = 64_000

_FRAME = re.compile(r'^[ \t|+-]*File "([^"]*)", line (\d+)(?:, in (.*))?$')
_WARNING = re.compile(r"^(\S.*):(\d+): (\w*Warning: .*)$")
_GROUP = re.compile(r"^[ \t]*(?:\| ?|\+[-+]{2,}.*$)")  # the bars that draw an exception group
_CODE = re.compile(r"^[ \t]{2,}\S|^[ \t]*[\^~]*[ \t]*$")
_MARKUP = re.compile(r"<\?xml|<!doctype|<html|<error>", re.IGNORECASE)
_CODE_ELEMENT = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_ELEMENT = re.compile(r"<([A-Za-z][\w:.-]{0,60})(?:\s[^<>]*)?>([^<>]+)</\1>")
_SUBTITLES = re.compile(r"\d\d:\d\d[.,]\d{3}\s*-->|WEBVTT|\[\d{1,2}:\d\d(?::\d\d)?\].*?\[\d{1,2}:\d\d", re.DOTALL)
_OBJECT = re.compile(r"\{\s*b?\\*[\"']")
_CODED = re.compile(r"%[0-9A-Fa-f]{2}|\\[ux/\"']|\\[01][0-7]{2}|&#?\w{2,8};|[^\x20-\x7e]")
_SPACED = re.compile(r"(?<![^\s\"'(\[{<=:])(?:\S ){9,}\S")
_NESTED = re.compile(r"%(?:25)+(?=[0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})|\\+x([0-9a-fA-F]{2})|\\+([/\"'])|\\+([01][0-7]{2})")
_INVISIBLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")
_ROUNDS = 8


def text(value: str, limit: int = LIMIT) -> str:
    """Return one free text fit to be shown: on one line, at most `limit` characters, with marks for its secrets.

    A text longer than `limit` is a payload, not a message: it is named by its size.
    """
    value = exact(value)
    if len(value) > limit:
        return mark("text", size(len(value)))
    shown = escape(scrub(value))
    return shown if len(shown) <= max(limit, 64) else shown[: max(limit, 64) - 1] + "…"


def exact(value: str) -> str:
    """Return the plain `str` of an instance of a subclass, running none of the subclass's code."""
    return value if type(value) is str else str.__str__(value)


def scrub(value: str, *, prose: bool = True) -> str:
    """Apply every rule; without `prose` only those that do not guess from context."""
    for rule in RULES:
        if prose or not rule.prose:
            value = rule.apply(value)
    return value


def is_clean(value: str) -> bool:
    """Whether a name the user chose (a key, a file) or a single word holds nothing that must be hidden."""
    return scrub(value, prose=False) == value and escape(value) == value


def trace(value: str) -> str:
    """Return a printed traceback as ``file:line:function`` and its messages, without folders and source lines."""
    value = exact(value)
    if len(value) > _TRACE_LIMIT:
        return mark("text", size(len(value)))
    lines = [text(line) for line in _trace_lines(value)]
    return " | ".join([*lines[:3], "…", *lines[-27:]] if len(lines) > 31 else lines)[: 2 * LIMIT]


def traces(value: str) -> str:
    """Tracebacks and printed warnings inside a text."""
    printed = 'File "' in value or any(map(_WARNING.match, value.splitlines()[:1]))
    return " | ".join(_trace_lines(value)) if printed else value


def _trace_lines(value: str) -> list[str]:
    kept = []
    for line in (_GROUP.sub("", raw) for raw in value.splitlines()):
        frame = _FRAME.match(line) or _WARNING.match(line)
        if frame:
            name = re.split(r"[/\\]", frame[1])[-1]
            kept.append(f"{name}:{frame[2]}:{frame[3] or '?'}")
        elif not _CODE.match(line):
            kept.append(line.strip())
    return kept


def subtitles(value: str) -> str:
    """A transcript by its time marks."""
    return mark("transcript", size(len(value))) if _SUBTITLES.search(value) else value


def markup(value: str) -> str:
    """Documents in XML and HTML, of which a storage's error code stays; elements with a telling name."""
    document = _MARKUP.search(value)
    if document:
        rest = value[document.start() :]
        code = _CODE_ELEMENT.search(rest)
        return value[: document.start()] + (f"{code[1]} " if code else "") + mark("data", size(len(rest)))
    return _ELEMENT.sub(lambda m: f"<{m[1]}>{mark('secret')}" if sensitivity(m[1]) else m[0], value)


def objects(value: str) -> str:
    """JSON and Python objects inside a text: an error envelope is read, anything else is named by its size."""
    parts: list[str] = []
    done = 0
    while found := _OBJECT.search(value, done):
        start = found.start()
        read, end = _read(value, start)
        parts += (value[done:start], _envelope(read) or mark("data", size(end - start)))
        done = end
    return "".join(parts) + value[done:] if parts else value


def _read(value: str, start: int) -> tuple[object, int]:
    try:
        return json.JSONDecoder().raw_decode(value, start)
    except (ValueError, RecursionError):
        end = value.rfind("}") + 1  # not JSON: everything up to the last brace may belong to it
        return None, end if end > start else len(value)


def _envelope(read: object) -> str:
    if not isinstance(read, dict):
        return ""
    inner = read.get("error")
    error = inner if isinstance(inner, dict) else read
    code, message = error.get("code"), error.get("message")
    request_id = error.get("request_id") or read.get("request_id")
    if not isinstance(code, str) or not re.fullmatch(r"[A-Za-z][\w.-]{0,63}", code):
        return ""
    said = f": {objects(message)}" if isinstance(message, str) else ""
    known = f" ({request_id})" if isinstance(request_id, str) and ID.fullmatch(request_id) else ""
    return code + said + known


def coded(value: str) -> str:
    """Whatever shows a secret once decoded: escapes of any depth, look-alike letters, letters set apart."""
    value = _SPACED.sub(_spaced, value)
    return re.sub(r"\S+", lambda match: _coded(match[0]), value) if _CODED.search(value) else value


def _spaced(match: re.Match[str]) -> str:
    plain = match[0].replace(" ", "")
    return match[0] if _plain_scrub(plain, prose=False) == plain else mark("encoded", size(len(plain)))


def _coded(token: str) -> str:
    if not _CODED.search(token):
        return token
    plain = _decoded(token)
    if plain is not None and (plain == token or _plain_scrub(plain) == plain):
        return token
    return mark("encoded", size(len(token)))


def _plain_scrub(value: str, *, prose: bool = True) -> str:
    for rule in RULES:
        if rule.apply is not coded and (prose or not rule.prose):
            value = rule.apply(value)
    return value


def _unescaped(found: re.Match[str]) -> str:
    return found[3] or (chr(int(found[4], 8)) if found[4] else chr(int(found[1] or found[2], 16)))


def _decoded(value: str) -> str | None:
    """Decode until nothing changes; None when it does not end."""
    for _ in range(_ROUNDS):
        plain = unquote(_NESTED.sub("%", value), errors="replace")
        plain = _ESCAPE.sub(_unescaped, html.unescape(plain))
        plain = _INVISIBLE.sub("", plain)
        if not plain.isascii():
            plain = "".join(c for c in unicodedata.normalize("NFKC", plain) if unicodedata.category(c) != "Cf")
        if plain == value:
            return plain
        value = plain
    return None


RULES: tuple[Rule, ...] = (
    Rule("subtitles", subtitles),
    Rule("trace", traces),
    PEM_RULE,
    Rule("markup", markup),
    Rule("objects", objects),
    *LINK_RULES,
    Rule("coded", coded),
    *SECRET_RULES,
    *PATH_RULES,
    *ID_RULES,
)
"""Every rule, in the order of application: the larger thing first."""
