"""Rules for what names a person or a place at a vendor, and for what merely looks random."""

from __future__ import annotations

import base64
import binascii
import re

from sumeasync.core.redaction.marks import Rule, mark

__all__ = ["ID", "ID_RULES", "hidden_text", "identity", "random_like"]

ID = re.compile(r"(?:job|req)_[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
"""The ids that may be shown: of jobs and of requests."""

_SHOWN = r"(?<![A-Za-z0-9])(?:job|req)_[A-Za-z0-9][A-Za-z0-9_-]*"
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_UUID = re.compile(r"(?i)(?<![a-z0-9])[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}(?![a-z0-9])(?::[a-z0-9]+)?")
_SHOWN_OR_UUID = re.compile(rf"{_SHOWN}|(?i:{_UUID.pattern[4:]})")
_OWNER = re.compile(
    r"(?i)(?<![A-Za-z0-9])(?:(?:usr|uid|ws|wks|wksp|acct|acc|orgn|tnt|cus|cust|mem|mbr|pred|whk|sess)[_-]"
    r"(?=[\w-]*\d)[\w-]*\w"
    r"|(?:user|workspace|account|owner|tenant|org|team|customer|member|provider|prediction|key|ak|asset|upload)_"
    r"(?:[a-z]{1,8}_)?(?=\w*\d)[\w-]*\w"
    r"|(?:usr|wks|wksp|acct|cus)_[A-Za-z0-9]{4,}"
    r"|(?:user|workspace|account|owner|tenant|org|provider)-(?=[a-z-]*\d[\w-]*)(?=[\w-]{6,})[\w-]*\w)"
)
_UNITS = (
    r"(?:jobs?|requests?|credits?|seconds?|secs?|s|ms|minutes?|min|of|per|times?|days?|hours?|files?|items?|specs?|"
    r"[kMG]?B|bytes?)\b|%|/"
)
_NOUN = re.compile(
    r"(?i)(?<![\w.-])((?:user|workspace|account|owner|tenant|organi[sz]ation|org|customer|member|team|prediction|"
    r"provider(?:[ _](?:job|request|task))?)s?(?:[ _-]?(?:id|ids|number|no\.|named))?(?:\s*[:=#]\s*|\s+)[\"']?)"
    rf"(?=[A-Za-z_-]*\d)([A-Za-z0-9][\w-]*)(?!\w|\s*(?:{_UNITS}))"
)
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%'-]+@(?=[^\W\d])[\w-]+(?:\.[\w-]+)*|\"[^\"@\r\n]{1,64}\"@[\w.-]+")
_AT = re.compile(
    r"(?i)[\w.+'-]{1,64}\s?[\[({]\s?(?:at|@)\s?[\])}]\s?[\w-]+(?:(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)[\w-]+)+"
)
_BLOB = re.compile(rf"{_SHOWN}|(?<![\w+/=-])[A-Za-z0-9_+-][A-Za-z0-9+/_-]{{14,}}={{0,2}}")
_HEX = re.compile(r"(?i)(?<![a-z0-9])(?:[0-9a-f]{2}){8,}(?![a-z0-9])")
_WORD = re.compile(rf"{_SHOWN}|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{{40,}}={{0,2}}|[A-Za-z0-9_+=-]{{10,}}")
_PREFIXED = re.compile(r"[a-z]{2,10}[_-]([A-Za-z0-9]{10,})")


def random_like(word: str, least: int) -> bool:
    """Whether a word of at least `least` letters and digits changes its class too often to have been written by hand.

    Names average four or more characters between changes (a capital counts with the small letters after it);
    hex, base32, base36, base62 and base64 average two to three.
    """
    if len(word) < least or ID.fullmatch(word):
        return False
    runs = _RUN.findall(word)
    if len(runs) < 5 or word.isdigit():
        return bool(re.fullmatch(r"[0-9a-fA-F]{20,}|[0-9]{16,}", word))
    return sum(map(len, runs)) / len(runs) < 3.0 if re.search("[A-Za-z]", word) else False


def identity(word: str) -> bool:
    """Whether a word is an id that names somebody: of a user, a workspace, an owner, an account, or a bare UUID."""
    return bool(_OWNER.search(word) or (_UUID.search(word) and not ID.fullmatch(word)))


def owners(text: str) -> str:
    """``usr_…``, ``ws_…``, ``account_42``."""
    return _OWNER.sub(lambda _: mark("id"), text) if "_" in text or "-" in text else text


def nouns(text: str) -> str:
    """``workspace 4711``, ``user id 42``."""
    return _NOUN.sub(lambda m: m[1] + mark("id"), text)


def uuids(text: str) -> str:
    """A UUID that is not the tail of a job or request id."""
    return _SHOWN_OR_UUID.sub(lambda m: m[0] if ID.match(m[0]) else mark("id"), text)


def emails(text: str) -> str:
    """E-mail addresses, also those written ``name [at] host.example``."""
    text = _EMAIL.sub(lambda _: mark("email"), text) if "@" in text else text
    return _AT.sub(lambda _: mark("email"), text)


def hidden_text(word: str) -> str:
    """Return the text that a base64 or hex word spells, or nothing when it spells none."""
    try:
        raw = bytes.fromhex(word) if _HEX.fullmatch(word) else base64.b64decode(_padded(word), altchars=b"-_")
    except (ValueError, binascii.Error):
        return ""
    text = raw.decode("ascii", "replace")
    return text if len(text) >= 8 and all(" " <= char <= "~" or char in "\r\n\t" for char in text) else ""


def _padded(word: str) -> str:
    bare = word.rstrip("=").replace("+", "-").replace("/", "_")
    return bare + "=" * (-len(bare) % 4)


def encoded_text(text: str) -> str:
    """A word that is base64 or hex for readable text."""
    text = _BLOB.sub(lambda m: mark("encoded") if not ID.match(m[0]) and hidden_text(m[0]) else m[0], text)
    return _HEX.sub(lambda m: mark("encoded") if hidden_text(m[0]) else m[0], text)


def randoms(text: str) -> str:
    """Words that nobody writes by hand."""
    return _WORD.sub(lambda m: mark("secret") if _is_random(m[0]) else m[0], text)


def _is_random(word: str) -> bool:
    if ID.match(word):
        return False
    parts = re.split(r"[_+=/-]+", word)
    if any(random_like(part, 20) or (len(part) >= 16 and part.isdigit()) for part in parts):
        return True
    tail = _PREFIXED.fullmatch(word)
    return bool(tail and random_like(tail[1], 10)) or random_like(word, 24)


ID_RULES = (
    Rule("email", emails),
    Rule("noun", nouns, prose=True),
    Rule("owner", owners),
    Rule("uuid", uuids, prose=True),
    Rule("encoded text", encoded_text),
    Rule("random", randoms, prose=True),
)
