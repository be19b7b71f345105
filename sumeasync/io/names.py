"""Local names for media: our own template, in which a stranger's text is at most a slug.

``media/<key slug>/<job id slug>[-n].<extension>``. A slug is the text itself when that is plain: short, lower case,
letters, digits and ``-_.`` that no file system takes for anything else. Every other text is cleaned and gets ``~``
and a hash of what it was. As ``~`` is never plain, two texts never share a slug, however file systems fold case and
accents, and a name depends on nothing but its own text: a resumed run finds the same one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from sumeasync.models import Media

__all__ = ["MEDIA_FOLDER", "file_of", "media_stem", "slug"]

MEDIA_FOLDER = "media"
MAX_SLUG_BYTES = 100  # with hash, number, extension and ".part.json" far below the usual limit of 255
HASH_DIGITS = 16

PLAIN = re.compile(r"[0-9_a-z](?:[-.0-9_a-z]*[-0-9_a-z])?")
PLAIN_WITHOUT_DOTS = re.compile(r"[0-9_a-z](?:[-0-9_a-z]*[0-9_a-z])?")
NUMBERED = re.compile(r".*-[0-9]+")
# Devices under any extension, and with superscript digits too (NFKC makes these plain).
RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9])(?:[ .].*)?", re.DOTALL)


def media_stem(key: str, job_id: str, index: int = 0) -> str:
    """Return the path, without extension, of a job's media file; `index` counts its files from 0.

    The last component has no dot, so whatever extensions are added, two stems never give one name.
    """
    number = f"-{index + 1}" if index else ""
    return f"{MEDIA_FOLDER}/{slug(key)}/{slug(job_id, dots=False)}{number}"


def file_of(stem: str, files: Iterable[Media]) -> Media | None:
    """The one of `files` that was saved under `stem`, if any."""
    return next((file for file in files if file.path.startswith((f"{stem}.", f"{stem}~"))), None)


def slug(text: str, *, dots: bool = True) -> str:
    """Return one path component that stands for `text` and for no other text.

    Args:
        text: anything, also nothing.
        dots: whether dots may stay; without them a plain slug does not end in a number after a dash either.
    """
    if is_plain(text, dots=dots):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean(text, dots=dots)}~{digest[:HASH_DIGITS]}"


def is_plain(text: str, *, dots: bool) -> bool:
    """Whether every file system takes `text` as it stands, and for itself alone."""
    if len(text) > MAX_SLUG_BYTES or is_reserved(text):
        return False
    if dots:
        return PLAIN.fullmatch(text) is not None
    return PLAIN_WITHOUT_DOTS.fullmatch(text) is not None and not NUMBERED.fullmatch(text)


def clean(text: str, *, dots: bool) -> str:
    """Keep letters, digits, accents and ``-_.``; put a dash for each run of anything else; cut to length."""
    kept = "".join(char if is_kept(char, dots=dots) else "-" for char in text)
    kept = unicodedata.normalize("NFC", re.sub("-+", "-", kept)).lstrip("-.")
    short = kept.encode()[:MAX_SLUG_BYTES].decode("utf-8", "ignore").rstrip("-.")
    return f"_{short}" if not short or is_reserved(short) or unicodedata.category(short[0])[0] == "M" else short


def is_kept(char: str, *, dots: bool) -> bool:
    """Whether a character may stand in a file name."""
    return char in "-_" or (dots and char == ".") or unicodedata.category(char)[0] in "LNM"


def is_reserved(text: str) -> bool:
    """Whether Windows takes the name for a device."""
    return RESERVED.fullmatch(unicodedata.normalize("NFKC", text).casefold()) is not None
