"""Strict JSON: one reading of every document, or none.

The standard decoder accepts NaN, Infinity, numbers beyond a float and duplicate keys (the last wins), and lets
`RecursionError` out. Here each of these is a `JSONError`, whose text never quotes the document.

Every answer comes through here, a page of a list with hundreds of objects too, so what is plainly in order is read by
`msgspec`, several times faster. The rest, and what is wrong, takes the long way, which also says why.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

import msgspec

from sumeasync.models import JSON

__all__ = ["MAX_DEPTH", "MAX_DIGITS", "JSONError", "loads"]

MAX_DEPTH = 200
MAX_DIGITS = 400
BOM = b"\xef\xbb\xbf"

# Every backslash of a document begins one escape, so this walks the escapes one by one; group 1 is half a pair.
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(u[dD][89a-fA-F]\w\w)|.)")


class JSONError(ValueError):
    """Not strict JSON; the text says why in a few words and holds nothing of the document."""


DIGITS = bytes.maketrans(b"0123456789", b"0000000000")
VAST = b"0" * (MAX_DIGITS + 1)


def loads(data: bytes) -> JSON:
    """Decode one UTF-8 document (a byte order mark is tolerated).

    Half of a surrogate pair, which servers that cut texts do send, becomes U+FFFD: what is returned can always be
    written as UTF-8. Raises `JSONError`, and nothing else.
    """
    if b"\\" in data or (len(data) > MAX_DIGITS and VAST in data.translate(DIGITS)):
        return thoroughly(data)
    try:
        value = decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return thoroughly(data)
    # Without a backslash, every quotation mark begins or ends a text; a key that stands twice is written only once.
    if data.count(b'"') != encode(value).count(b'"'):
        raise JSONError("a key stands twice in one object")
    if len(data) > MAX_DEPTH and data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        check_depth(value)
    return value


def thoroughly(data: bytes) -> JSON:
    """Decode with a look at every object and every number."""
    try:
        text = (data[3:] if data.startswith(BOM) else data).decode()
        if "\\" in text and ("\\ud" in text or "\\uD" in text):  # the first is rare, and quick to tell
            text = ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text)
        value = DECODER.decode(text)
    except JSONError:
        raise
    except UnicodeDecodeError:
        raise JSONError("not UTF-8") from None
    except json.JSONDecodeError as error:
        # Chained, the foreign error would carry the whole document along.
        raise JSONError(f"not JSON from character {error.pos}") from None
    except RecursionError:
        raise JSONError("nested too deep") from None
    check_depth(value)
    return value


def check_depth(value: JSON) -> None:
    """Refuse what is nested deeper than `MAX_DEPTH`, level by level."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [each for each in level if type(each) is dict or type(each) is list]
        if not level:
            return
        level = [child for parent in level for child in (parent.values() if type(parent) is dict else parent)]
    raise JSONError("nested too deep")


def unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JSONError("a key stands twice in one object")
    return found


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JSONError("a number beyond the range of a float")
    return number


def bounded(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise JSONError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def constant(name: str) -> NoReturn:
    raise JSONError(f"{name} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=unique, parse_float=finite, parse_int=bounded, parse_constant=constant)
decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
