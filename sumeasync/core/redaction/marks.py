"""The marks that stand where something was left out, and the escaping that keeps a record on one line."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

__all__ = ["MARK", "Rule", "Scrub", "each_token", "escape", "mark", "size"]

# The marks this package writes; a rule that meets one leaves it alone, so scrubbing twice changes nothing.
MARK = re.compile(r"<redacted [a-z]+(?: [\w.*-]+)?(?: (?:kB|MB|GB|bits|more))?>")

# C0, DEL, C1, soft hyphen, the bidi controls, zero width and line separators, lone surrogates, BOM, invisible tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TOKEN = re.compile(r"[^\s\"'<>`]+")


class Scrub(Protocol):
    """A function that takes one kind of secret out of a text."""

    def __call__(self, text: str, /) -> str:
        """Return `text` with a mark wherever a secret of this kind stood."""
        ...


class Rule(NamedTuple):
    """One rule of the scrub. A `prose` rule guesses from context and is not applied to names the user chose."""

    name: str
    apply: Scrub
    prose: bool = False


def mark(kind: str, detail: str = "") -> str:
    """Name what was left out: ``<redacted url media.sume.so>``."""
    return f"<redacted {kind} {detail}>" if detail else f"<redacted {kind}>"


def size(count: int) -> str:
    """Write a count of bytes or characters briefly: ``300``, ``18 kB``, ``100 MB``."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count // step} {unit}"
    return str(count)


def escape(text: str) -> str:
    """Escape what could break a line or steer a terminal; every other character stays."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def each_token(text: str, change: Scrub) -> str:
    """Apply `change` to every run without blanks, quotes and angle brackets."""
    return _TOKEN.sub(lambda match: change(match[0]), text)
