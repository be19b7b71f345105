"""Result payloads: links that were saved become paths, signed links do not survive, all else stays."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sumeasync.core.payload import MAX_DEPTH, localize

SIGNED = "https://media.sume.so/a.mp4?sig=SECRET"
SAVED = {SIGNED: "media/k/job_1.mp4", "https://media.sume.so/b.png": "media/k/job_1-2.png"}


def test_saved_links_become_paths() -> None:
    """Wherever a saved link stands, signed or not, its file's path takes its place; the payload is not changed."""
    payload = {"url": SIGNED, "more": [{"url": "https://media.sume.so/b.png"}], "n": 1, "ok": None}
    before = json.dumps(payload)
    assert localize(payload, SAVED) == {
        "url": "media/k/job_1.mp4", "more": [{"url": "media/k/job_1-2.png"}], "n": 1, "ok": None
    }  # fmt: skip
    assert json.dumps(payload) == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SIGNED, "<redacted url media.sume.so>"),
        ("HTTPS://Media.Sume.so/a?b", "<redacted url media.sume.so>"),
        ("  https://h.io/a?b=c d", "<redacted url h.io>"),
        ("https://h.io/a\n?b=c", "<redacted url h.io>"),
        ("https://user@h.io/a", "<redacted url h.io>"),
        ("https://:pass@h.io/a", "<redacted url h.io>"),
        ("https://[bad?x", "<redacted url>"),
        ("https:///a?b", "<redacted url>"),
        ("see https://h.io/a?b=c, then", "see <redacted url h.io> then"),
        ('{"u":"https:\\/\\/h.io\\/a?b=c"}', '{"u":"<redacted url>"}'),
        ("s3://bucket/key?X-Amz=1", "<redacted url bucket>"),
        ("https://h.io/a", "https://h.io/a"),
        ("see https://h.io/a and https://i.io", "see https://h.io/a and https://i.io"),
        ("what? a:b 10:30 //c", "what? a:b 10:30 //c"),
        ("", ""),
    ],
)
def test_texts(text: str, shown: str) -> None:
    """A link with a query or a user shows its host only, also inside a text; other links and texts stay."""
    assert localize(text, {}) == shown


def test_names_are_texts_too() -> None:
    """A signed link that stands as a name is hidden like one that stands as a value."""
    assert localize({SIGNED: 1, "https://h.io/?a": 2}, SAVED) == {"media/k/job_1.mp4": 1, "<redacted url h.io>": 2}


def test_what_is_nested_too_deep_is_left_out() -> None:
    """Nothing is let through unseen: containers beyond the depth any answer can have become a mark."""
    payload: Any = SIGNED
    for _ in range(MAX_DEPTH + 1):
        payload = [payload]
    shown = json.dumps(localize(payload, {}))
    assert "SECRET" not in shown
    assert "<redacted deep>" in shown
    assert localize(payload[0], SAVED) != payload[0]


@pytest.mark.parametrize(
    "text",
    [
        "https://h.io/a#access_token=SECRET",
        "next=https%3A%2F%2Fh.io%2Fa%3Fsig%3DSECRET",
        "next=https%253A%252F%252Fh.io%252Fa%253Fsig%253DSECRET",
        "h.io/a?X-Amz-Signature=SECRET&x=1",
        "Signature=SECRET",
        "sig%3DSECRET",
        "a key: sume_live_SECRET",
        "OSSAccessKeyId=SECRET",
    ],
)
def test_what_is_left_of_a_link_or_a_key(text: str) -> None:
    """Signatures in fragments, encoded links and loose queries go, and so do the vendor's keys; as names too."""
    assert "SECRET" not in json.dumps(localize({text: [text]}, {}))


@pytest.mark.parametrize(
    "text", ["signature dish", "a = b", "100%", "sig", "https://h.io/a.png", "x=1&y=2", "design=flat"]
)
def test_ordinary_text_stays(text: str) -> None:
    """Texts without links and keys are kept as they are."""
    assert localize(text, {}) == text


links = st.builds(
    "{}{}://{}{}{}{}".format,
    st.sampled_from(["", " ", "see ", "(", '"', "\n", "a=", "x "]),
    st.sampled_from(["https", "http", "HTTPS", "s3", "gs", "ftp"]),
    st.sampled_from(["h.io", "a.b.c:8080", "u@h.io", "[::1]", "127.0.0.1"]),
    st.sampled_from(["", "/", "/a b", "/a/b.mp4", "/%41"]),
    st.sampled_from(["?sig=SECRET", "?SECRET", "?a&b=SECRET#x"]),
    st.sampled_from(["", " ", ")", '"', " and more", "\n"]),
)
payloads = st.recursive(
    links | st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(links | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(payloads)
@example("https://h.io/a b?sig=SECRET")
def test_no_signed_link_survives(payload: Any) -> None:
    """Whatever the payload: no address with a query is left of it, unless a space split it before the query."""
    shown = json.dumps(localize(payload, {}))
    assert not re.search(r"(?i)[a-z0-9]+://[^\s\"'<>?]*\?[^\s\"'<>]*SECRET", shown)


@given(payloads)
def test_twice_is_once(payload: Any) -> None:
    """A payload that was localized stays as it is."""
    once = localize(payload, SAVED)
    assert localize(once, SAVED) == once
