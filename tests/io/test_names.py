"""Local names: safe, readable, and each for one file alone."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sumeasync.io.names import media_stem, slug

LONGEST_TAIL = "-999999.part.json"

texts = st.one_of(
    st.text(max_size=12),
    st.text("aAbB01éÉe\u0301ß\u017f_.~- /\\%\0¹\ufb01İ\u0131\u03c3ς\u200b\u202e\ud800", max_size=6),
    st.text("aAé\U0001f600", min_size=90, max_size=300),
)


def fold(name: str) -> str:
    """What the least discerning file systems take a name for: no case, no composition, no compatibility forms."""
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())


@pytest.mark.parametrize("key", ["hero-01", "a", "7", "a.b_c-d", "clip.v2", "x-", "a" * 100, "console", "com10"])
def test_plain_keys_stay(key: str) -> None:
    """A key of lower-case letters, digits and ``-_.`` is its own folder name."""
    assert slug(key) == key


def test_template() -> None:
    """A file is named by key and job id, and numbered from the second on."""
    assert [media_stem("hero-01", "job_123", index) for index in (0, 1, 9)] == [
        "media/hero-01/job_123",
        "media/hero-01/job_123-2",
        "media/hero-01/job_123-10",
    ]


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("Hero", "Hero"),
        ("A/b", "A-b"),
        ("a b", "a-b"),
        ("a~b", "a-b"),
        ("caf\u00e9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0301a", "_\u0301a"),
        ("東京", "東京"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        ("../../etc/passwd", "etc-passwd"),
        ("..%2f..%2fetc", "2f..-2fetc"),
        ("..\\x", "x"),
        ("/abs", "abs"),
        ("C:\\x", "C-x"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("a.", "a"),
        ("a ", "a"),
        ("a\0b\nc\x1b\x7f", "a-b-c"),
        ("a\u202egnp\u200b", "a-gnp"),
        ("a\ud800", "a"),
        ("a" * 101, "a" * 100),
        ("é" * 51, "é" * 50),
        ("x" + "é" * 50, "x" + "é" * 49),
        ("con", "_con"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("aux", "_aux"),
        ("prn", "_prn"),
        ("com1", "_com1"),
        ("lpt9.x", "_lpt9.x"),
        ("COM\u00b9", "_COM\u00b9"),
        ("conin$", "conin"),
    ],
)
def test_other_keys_are_cleaned_and_hashed(text: str, readable: str) -> None:
    """Any other text becomes a readable part and a hash of the text itself."""
    assert re.fullmatch(rf"{re.escape(readable)}~[0-9a-f]{{16}}", slug(text))


@pytest.mark.parametrize("job_id", ["job_1-2", "job.part", "a-", "Job", "job/1", "CON"])
def test_job_ids_are_stricter(job_id: str) -> None:
    """A job id with a dot, a number after a dash or the like is hashed, so that numbers and extensions stay apart."""
    assert re.fullmatch(r"[^.]+~[0-9a-f]{16}", slug(job_id, dots=False))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A/b", "a_b"),
        ("caf\u00e9", "cafe\u0301"),
        ("Hero", "hero"),
        ("a" * 101, "a" * 102),
        ("straße", "strasse"),
        ("a\ud800", "a?"),
    ],
)
def test_lookalikes_differ(one: str, other: str) -> None:
    """Keys that a file system could take for one another have different folders."""
    assert fold(slug(one)) != fold(slug(other))


@given(texts, st.booleans())
@example("\u0344", True)
@example("\u0340" * 60, False)
def test_a_slug_is_one_safe_component(text: str, dots: bool) -> None:
    """Whatever the text: one component, composed, short, no control or separator, no odd first or last character."""
    name = slug(text, dots=dots)
    assert not re.search(r'[\x00-\x20\x7f-\x9f/\\:*?"<>|%$\u200b-\u202e\ud800-\udfff]', name)
    assert name[0] not in ".-~ "
    assert name[-1] not in ". "
    assert name == unicodedata.normalize("NFC", name)
    assert len((name + LONGEST_TAIL).encode()) <= 255
    assert dots or "." not in name


@given(texts, st.booleans())
@example("con .x", True)
def test_a_slug_is_no_device(text: str, dots: bool) -> None:
    """Whatever the text, Windows takes its slug for no device."""
    base = fold(slug(text, dots=dots)).partition(".")[0].rstrip()
    assert not re.fullmatch(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9]", base)


@given(st.lists(st.tuples(texts, texts, st.integers(0, 12)), unique=True, min_size=2, max_size=6))
def test_stems_are_unique(files: list[tuple[str, str, int]]) -> None:
    """Different files have different stems, however names are folded, and none begins another before a dot."""
    stems = [fold(media_stem(*file)) for file in files]
    assert len(set(stems)) == len(stems)
    assert all("." not in stem.rpartition("/")[2] for stem in stems)


@given(st.lists(st.text("aAbB-_.~1é/", max_size=4), unique=True, min_size=2, max_size=40))
def test_slugs_are_unique(keys: list[str]) -> None:
    """Many short keys of a small alphabet still get as many folders."""
    assert len({fold(slug(key)) for key in keys}) == len(keys)
