"""Hostile names: whatever text a server or a manifest brings, one safe component comes of it; each rule is needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from sumeasync.io import names

TEXTS = (
    "../../etc/passwd", "..", ".", "", " ", "/", "\\", "C:\\x", "con", "CON.txt", "nul", "com1", "LPT\u00b9", "conin$",
    ".ssh", "-rf", "a.", "a ", "a\0b", "a\nb", "a\x1b[2J", "\u202egnp.exe", "a\u200bb", "\ufeffa", "\u0301a", "e\u0301",
    "\u00e9", "A", "a", "\u212b", "\u00c5", "a" * 300, "é" * 300, "\U0001f600" * 90, "%2e%2e%2f", "~root", "$HOME",
    "a:b", "a*?",
    '"a"', "a|b", "<a>", "job_1-2", "job_1", "a.part", "\ud800", "\u2028", "stra\u00dfe", "strasse", "aux.b",
)  # fmt: skip
DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9])(?:[ .].*)?")


def faults() -> Iterator[str]:
    """What is wrong with the names of the table, in words."""
    folded: dict[str, str] = {}
    for text in TEXTS:
        name = names.slug(text)
        stem = names.slug(text, dots=False)
        plain = unicodedata.normalize("NFKC", name).casefold()
        if not re.fullmatch(r"[^\x00-\x20\x7f-\x9f/\\:*?\"<>|%$\u200b-\u202e\ud800-\udfff\ufeff]+", name):
            yield f"odd characters: {name!r}"
        if name[0] in ".-~ " or name[-1] in ". ":
            yield f"odd ends: {name!r}"
        if unicodedata.category(name[0])[0] == "M" or name != unicodedata.normalize("NFC", name):
            yield f"not composed: {name!r}"
        if len(name.encode("utf-8", "replace")) > 255 - len("~123-1000.part.json"):
            yield f"too long: {name!r}"
        if DEVICE.fullmatch(plain):
            yield f"a device: {name!r}"
        if "." in stem or re.fullmatch(r"[^~]*-[0-9]+", stem):
            yield f"a stem that an extension or a number could make: {stem!r}"
        key = unicodedata.normalize("NFD", name).casefold()
        if folded.setdefault(key, text) != text:
            yield f"{text!r} and {folded[key]!r} share {name!r}"


def test_names_are_safe() -> None:
    """No text of the table gives an unsafe or a shared name."""
    assert list(faults()) == []


NEVER = re.compile(r"(?!)")
MUTANTS: dict[str, tuple[str, object]] = {
    "devices": ("RESERVED", NEVER),
    "length": ("MAX_SLUG_BYTES", 1000),
    "characters": ("is_kept", lambda char, *, dots: char != "\ud800"),
    "plainness": ("PLAIN", re.compile(r"(?s).+")),
    "plain stems": ("PLAIN_WITHOUT_DOTS", re.compile(r"(?s)[^/]+")),
    "numbers": ("NUMBERED", NEVER),
    "hash": ("HASH_DIGITS", 0),
}


@pytest.mark.parametrize("rule", MUTANTS)
def test_each_name_rule_is_needed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one rule, the table has a fault."""
    monkeypatch.setattr(names, *MUTANTS[rule])
    assert list(faults())


def composed(clean: Callable[..., str]) -> Callable[..., str]:
    """The cleaning without its last step: names that begin with an accent."""
    return lambda text, *, dots: clean(text, dots=dots).lstrip("_") or "x"


def test_first_character_rule_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the underscore before an accent or a device, the table has a fault."""
    monkeypatch.setattr(names, "clean", composed(names.clean))
    assert list(faults())
