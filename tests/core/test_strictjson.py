from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.strictjson import JSONError, loads, thoroughly

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_a_document_is_read_as_written(value: object, ascii_only: bool) -> None:
    """What any encoder wrote comes back unchanged."""
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[-Infinity]",
        b'{"a": 1e400}',
        b"[-1e999]",
        b'{"status": "done", "status": "failed"}',
        b'[{"a": {"b": 1, "b": 1}}]',
        b"9" * 401,
        b"-" + b"9" * 5000,
        b'{"a": 1} x',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        b"[" * 100_000,
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 201 + b"1" + b"}" * 201,
        b"[[]," * 150 + b"[" * 60 + b"]" * 60 + b"]" * 150,
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    """NaN, infinities, duplicate keys, vast numbers, depth, other encodings and trailing text are all `JSONError`."""
    with pytest.raises(JSONError):
        loads(data)


@pytest.mark.parametrize("data", [b"[" * 200 + b"]" * 200, b"[" + b"{}," * 500 + b"[]]", b"9" * 400, b"1e308"])
def test_what_is_large_but_sane_is_read(data: bytes) -> None:
    """The limits are where they are said to be."""
    assert loads(data) == json.loads(data)


def test_a_byte_order_mark_is_tolerated() -> None:
    """Some servers put a UTF-8 byte order mark first."""
    assert loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb'"cut \ud83d"', "cut �"),
        (rb'"\uDE00 \ud83d\ud83d\ude00"', "� �\U0001f600"),
        (rb'"\\ud83d"', r"\ud83d"),
        (rb'"\\\ud83d\n"', "\\�\n"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(data: bytes, text: str) -> None:
    """A text that a server cut in the middle of a character can still be written as UTF-8."""
    assert loads(data) == text


PIECES = st.sampled_from(
    ['"a"', '"b"', '":"', ":", " :", ",", "{", "}", "[", "]", "1", "-0.0", "1e999", '"\\n"', "NaN"]
)
MEMBERS = st.lists(st.tuples(st.sampled_from(["a", "b", ":", ""]), VALUES), max_size=4)


@given(
    st.binary()
    | st.lists(PIECES).map(lambda pieces: "".join(pieces).encode())
    | MEMBERS.map(lambda pairs: ("{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in pairs) + "}").encode())
)
def test_both_ways_to_read_agree(data: bytes) -> None:
    """What is read the quick way is read as it would be with a look at every object and number."""
    read = []
    for way in (loads, thoroughly):
        try:
            read.append(repr(way(data)))
        except JSONError:
            read.append("refused")
    assert read[0] == read[1]


@given(st.binary())
def test_nothing_but_a_json_error_comes_out(data: bytes) -> None:
    """Any bytes at all give a value or a `JSONError`."""
    with contextlib.suppress(JSONError):
        loads(data)


def test_the_error_holds_nothing_of_the_document() -> None:
    """Neither the text nor a chained error that would be shown carries the body along."""
    with pytest.raises(JSONError) as caught:
        loads(b'{"link": "https://media.test/?signature=hunter2"')
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__suppress_context__
