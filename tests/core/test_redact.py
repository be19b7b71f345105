"""Events, fields and exceptions: what is known passes, everything else is named, and nothing raises."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import pathlib
import sys
import time
import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumeasync import models
from sumeasync.core import redact
from sumeasync.core.redaction.shapes import FIELDS
from sumeasync.errors import RateLimitError

KEY = "sume_live_c4nary"
LINK = f"https://media.sume.so/out/c4nary.mp4?sig={KEY}"


class Hostile:
    """Refuses everything that is asked of it."""

    def __repr__(self):
        raise RuntimeError(KEY)

    __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __format__ = __repr__

    @property
    def __class__(self):
        raise RuntimeError(KEY)


class Word(str):
    """A string that lies about itself."""

    __slots__ = ()

    def __str__(self):
        raise RuntimeError(KEY)

    __repr__ = __len__ = __format__ = __str__


class Loud(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyboardInterrupt

    __repr__ = __str__


@dataclasses.dataclass
class Record:
    """A dataclass with a secret."""

    status: str = "queued"
    api_key: str = KEY


def cycle() -> dict:
    """A dict that holds itself."""
    loop: dict = {"status": "ok"}
    loop["job"] = loop
    return loop


def deep(levels: int) -> dict:
    """A secret far down."""
    inner: dict = {"token": KEY}
    for _ in range(levels):
        inner = {"job": inner}
    return inner


PASSES = [
    ("job_id", "job_123"),
    ("job_id", "550e8400-e29b-41d4-a716-446655440000"),
    ("jobId", "job_123"),
    ("key", "hero-01"),
    ("key", "clips/9"),
    ("key", "9f86d081884c7d659a2feaa0c55ad015"),
    ("key", "été 1"),
    ("request_id", "req_01HZXABCDEFGHJKMNPQRSTVWXY"),
    ("type", "image_generation"),
    ("status", "rendering"),
    ("code", "rate_limit_exceeded"),
    ("message", "queue is full, try again in 30 seconds"),
    ("hint", "check SUME_API_KEY and what the key is allowed to do"),
    ("file", "media/hero-01/job_123-1.mp4"),
    ("content_type", "image/png; charset=utf-8"),
    ("method", "POST"),
    ("route", "/jobs/{id}/result"),
    ("path", "/api/v1/jobs/job_1"),
    ("host", "media.sume.so"),
    ("host", "127.0.0.1:8080"),
    ("sha256", "a" * 64),
    ("timestamp", "2026-01-02T03:04:05.123456Z"),
    ("aspect_ratio", "16:9"),
    ("version", "3.11.4"),
    ("http_status", 429),
    ("bytes", 123_456_789_012),
    ("content_length", 123_456_789),
    ("seconds", 12.1),
    ("attempt", 3),
    ("tokens", 5),
    ("credits", 12),
    ("in_flight", 200),
    ("user_count", 3),
    ("ok", True),
    ("next_cursor", None),
    ("job_ids", ["job_1", "job_2"]),
    ("counts", {"completed": 3, "failed": 1}),
    ("statuses", {"200": 3, "429": 1}),
]


@pytest.mark.parametrize(("name", "value"), PASSES)
def test_useful_fields_pass(name, value):
    """What helps and harms nobody is shown as it is."""
    if name == "statuses":
        name = "counts"
    assert redact.value(name, value) == value


HIDDEN = [
    ("api_key", "c4nary"),
    ("apiKey", "c4nary"),
    ("X-Api-Key", "c4nary"),
    ("anything", "c4nary is free text under an unknown name"),
    ("headers", {"authorization": "Bearer c4nary"}),
    ("headers", [("x-api-key", "c4nary")]),
    ("headers", ((b"authorization", b"c4nary"),)),
    ("message", ("x-api-key", "c4nary")),
    ("keys", ["Cookie", "c4nary"]),
    ("required_headers", {"x-amz-meta": "c4nary"}),
    ("url", LINK),
    ("message", f"see {LINK}"),
    ("error", {"code": "x", "message": LINK, "payload": "c4nary"}),
    ("errors", [{"message": f"token={KEY}"}]),
    ("job", {"id": "job_1", "result": "c4nary"}),
    ("job", {KEY: 1, "c4nary@example.com": 2}),
    ("counts", {KEY: 1}),
    ("payload", {"status": "c4nary"}),
    ("body", b"c4nary"),
    ("data", bytearray(b"c4nary")),
    ("data", memoryview(b"c4nary")),
    ("values", ("c4nary", {"c4nary"})),
    ("job_id", KEY),
    ("job_id", LINK),
    ("job_id", "c4nary with blanks"),
    ("job_ids", ["job_1", KEY]),
    ("key", KEY),
    ("key", "c4nary@example.com"),
    ("key", "/home/c4nary/x"),
    ("key", "../c4nary"),
    ("key", "media.sume.so/c4nary.mp4"),
    ("status", "Zk93jd8sKJ2mXq7Lwc4nary0Pa"),
    ("type", "ws_c4nary1"),
    ("code", f"bad {KEY}"),
    ("file", "/home/c4nary/a.mp4"),
    ("file", r"C:\Users\c4nary\a.mp4"),
    ("file", pathlib.Path("/home/c4nary/a.mp4")),
    ("file", "~/c4nary.mp4"),
    ("path", "/home/c4nary/a.mp4"),
    ("path", "/jobs/c4nary/result"),
    ("host", "alice:c4nary@media.sume.so"),
    ("base_url", LINK),
    ("object_key", "uploads/c4nary.mp4"),
    ("transcript", "c4nary"),
    ("user_id", "c4nary"),
    ("workspace", "c4nary"),
    ("idempotency_key", "c4nary"),
    ("provider_job_id", "c4nary"),
    ("id", "c4nary"),
    ("record", Record(api_key="c4nary")),
    ("record", Record(status="c4nary here")),
    ("spec", models.Spec(key="a", input={"prompt": "c4nary"}, file="/home/c4nary/x")),
    ("outcome", models.Outcome(key="a", job_id="job_1", type="t", status="completed", result={"url": "c4nary"})),
    ("failure", models.Failure(code="x", message=f"see {LINK}")),
    ("request", models.Request("GET", "/jobs/c4nary", headers=(("x-api-key", "c4nary"),))),
    ("error", ValueError(f"token={KEY}")),
    ("thing", ValueError("c4nary")),
    ("thing", type("c4nary@x", (), {})()),
    ("thing", uuid.UUID("c4" * 16)),
    ("status", Word(KEY)),
    ("event", Word(KEY)),
    ("event", f"GET {LINK}"),
    ("event", Hostile()),
    ("exception", f'Traceback:\n  File "/home/c4nary/x.py", line 1, in f\n    key = "c4nary"\nValueError: {KEY}'),
    ("stack_info", '  File "/home/c4nary/x.py", line 1, in f\n    key = "c4nary"'),
    ("exc_info", ValueError(LINK)),
    ("exc_info", (ValueError, ValueError(LINK), None)),
]


@pytest.mark.parametrize(("name", "value"), HIDDEN, ids=[f"{n}-{name}" for n, (name, _) in enumerate(HIDDEN)])
def test_secrets_never_pass(name, value):
    """No secret stays, whatever the field and whatever holds it."""
    line = json.dumps([redact.event({"event": "x", name: value}), redact.value(name, value)])
    assert "c4nary" not in line
    assert "c4" * 8 not in line


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    NAMED := [
        ("url", LINK, "<redacted url media.sume.so>"),
        ("transcript", "x" * 18_000, "<redacted text 18 kB>"),
        ("body", b"x" * 300, "<redacted bytes 300>"),
        ("things", list(range(12)), "<redacted list 12>"),
        ("payload", {"a": 1}, "<redacted dict 1>"),
        ("user_id", 4711, "<redacted number>"),
        ("pin", 1234, "<redacted number>"),
        ("id", 4711, "<redacted number>"),
        ("thing", type(KEY, (), {})(), "<redacted object object>"),
        ("number", 49301234567, "<redacted number 36 bits>"),
        ("thing", object(), "<redacted object object>"),
        ("where", pathlib.Path("a"), "<redacted text 1>"),
        ("base_url", "https://www.sume.so/api/v1", "https://www.sume.so"),
        ("seconds", math.nan, "NaN"),
        ("seconds", -math.inf, "-Infinity"),
        ("seconds", datetime.timedelta(seconds=2), 2.0),
        ("bytes", 10**6000, "<redacted number 19 kB bits>"),
        ("started_at", datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
        ("keys", [f"k{n}" for n in range(25)], [*(f"k{n}" for n in range(20)), "<redacted list 5 more>"]),
        ("error", {"code": "x", "message": "no", "x": "it"}, {"code": "x", "message": "no", "x": "<redacted text 2>"}),
    ],
    ids=[f"{n}-{case[0]}" for n, case in enumerate(NAMED)],
)  # fmt: skip
def test_what_is_left_out_is_named_by_kind_and_size(name, value, shown):
    """A reader learns what stood there, and how much of it."""
    assert redact.value(name, value) == shown


def bush(width: int, depth: int) -> object:
    """Lists of lists of texts: many leaves."""
    return [bush(width, depth - 1) if depth else "a b@c " * 300] * width


def hedge(depth: int) -> dict:
    """Dicts of dicts under names that are opened."""
    return {name: hedge(depth - 1) if depth else "a b@c " * 300 for name in ("job", "error", "spec", "file", "limits")}


TORTURE = [
    bush(20, 4),
    hedge(4),
    Hostile(),
    [Hostile()],
    {"job": Hostile()},
    Loud(KEY),
    Word("x"),
    cycle(),
    deep(5000),
    "x" * 10**8,
    b"x" * 10**8,
    10**100_000,
    dict.fromkeys(range(10**5)),
    {Hostile: 1, (1, 2): 2, b"x": 3, None: 4},
    {f"name{n}": "é" * 2000 for n in range(100)},
    ["\U0001f600" * 1900] * 100,
    (x for x in "abc"),
    math.nan,
    "\ud800\x00\u202e",
    lambda: 1,
    Exception,
    sys,
]


@pytest.mark.parametrize("n", range(len(TORTURE)))
@pytest.mark.parametrize("name", ["event", "message", "job", "error", "exc_info", "exception", "keys", "seconds", KEY])
def test_no_value_breaks_the_record(name, n):
    """Whatever a field holds: no exception, one short line of strict JSON, and quickly."""
    started = time.perf_counter()
    line = json.dumps(redact.event({"event": "x", name: TORTURE[n]}), allow_nan=False)
    assert time.perf_counter() - started < 0.5
    assert len(line) <= redact.MAX_LINE
    assert KEY not in line


@pytest.mark.parametrize(
    "text", ["\\" * 1999, "é" * 1999, "\U0001f600" * 1999, '"' * 1999, "\x00" * 1999, "a b " * 499]
)
def test_a_line_is_bounded_for_any_number_of_full_fields(text):
    """Many full texts end in a count of what was left out."""
    names = [name for name, show in FIELDS.items() if show is redact.text]
    shown = redact.event(dict.fromkeys(names, text))
    assert len(json.dumps(shown)) <= redact.MAX_LINE
    assert shown["omitted"] > 0


def test_a_huge_event_keeps_what_matters():
    """Of a hundred thousand fields, the event's own come first and the rest is counted."""
    shown = redact.event({**{f"a{n}": n for n in range(10**5)}, "job_id": "job_1", "event": "x"})
    assert shown["event"] == "x"
    assert shown["job_id"] == "job_1"
    assert shown["omitted"] > 99_000


def raised() -> BaseException:
    """A group with a caused, noted error in it, all of them telling."""
    local_secret = KEY
    try:
        try:
            raise OSError(2, "No such file", f"/home/c4nary/{local_secret}")
        except OSError as cause:
            cause.add_note(f"while reading {LINK}")
            raise RateLimitError(
                f"slow down {KEY}", status=429, code="rate_limit_exceeded", request_id="req_1"
            ) from cause
    except RateLimitError as error:
        return ExceptionGroup("several", [error, ValueError("c4nary@example.com")])


def test_an_exception_is_shown_with_all_that_led_to_it():
    """Type, message, code, places, notes, members and causes are there; secrets, sources and locals are not."""
    shown = redact.error(raised())
    first = shown["errors"][0]
    assert (first["type"], first["status"], first["code"], first["request_id"]) == (
        "RateLimitError", 429, "rate_limit_exceeded", "req_1",
    )  # fmt: skip
    assert first["cause"]["message"] == "[Errno 2] No such file"
    assert first["frames"][0].startswith("test_redact.py:")
    assert "c4nary" not in json.dumps(shown) + redact.error_line(raised())
    assert "caused by FileNotFoundError" in redact.error_line(raised())


def test_an_endless_chain_ends():
    """Chains that are long or circular are cut."""
    first = last = ValueError("0")
    for n in range(5000):
        last.__cause__ = ValueError(str(n))
        last = last.__cause__
    last.__cause__ = first
    assert len(json.dumps(redact.error(first))) < 2000


def test_a_circle_of_errors_is_shown_once():
    """Two errors that name each other as cause appear once each."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert redact.error_line(first) == "ValueError: first | caused by ValueError: second"


def test_what_the_author_hid_stays_hidden():
    """A context is shown, unless `raise … from None` suppressed it."""
    error = ValueError("outer")
    error.__context__ = KeyError("inner")
    assert redact.error_line(error) == "ValueError: outer | while handling KeyError: inner"
    error.__suppress_context__ = True
    assert redact.error_line(error) == "ValueError: outer"


def test_places_are_scrubbed_too():
    """A file may have a telling name; a folder is never shown."""
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1 / 0", f"/home/c4nary/{KEY}.py", "exec"))
    assert "c4nary" not in redact.error_line(caught.value)


def test_only_so_much_text_is_read():
    """Of many long texts the first are shown and the others named."""
    shown = redact.value("notes", ["x " * 900] * 20)
    assert shown[0].startswith("x x")
    assert shown[-1] == "<redacted text 1 kB>"


def test_groups_cannot_grow_the_output():
    """A group of groups stays within the bound of a line."""
    group: BaseException = ValueError("x" * 1000)
    for _ in range(6):
        group = ExceptionGroup("g" * 1000, [group] * 50)
    assert len(redact.error_line(group)) <= 2000


@pytest.mark.parametrize(
    ("event", "args", "shown"),
    [
        ("took %.1f s", (1.25,), "took 1.2 s"),
        ("see %s", (LINK,), "see <redacted url media.sume.so>"),
        ("https://%s/%s?sig=%s", ("media.sume.so", "a", "c4nary"), "<redacted url media.sume.so>"),
        ("%(a)s", ({"a": f"token={KEY}"},), "token=<redacted secret>"),
        ("%s", (b"c4nary",), "<redacted bytes 6>"),
        ("%s", (Hostile(),), "<redacted object Hostile>"),
        ("%s", (ValueError("no"),), "ValueError: no"),
        ("%d", ("x",), "%d x"),
        ("%999999999d", (1,), "%999999999d 1"),
        ("%*d", (10**9, 1), "%*d 1000000000 1"),
    ],
)
def test_arguments_are_sanitized_before_they_are_put_in(event, args, shown):
    """%-arguments run no foreign code and fill no memory."""
    assert redact.event({"event": event, "positional_args": args}) == {"event": shown}


LEAVES = st.sampled_from([KEY, LINK, f"Bearer {KEY}", KEY.encode(), ValueError(KEY), Record()])
NESTS = st.recursive(
    LEAVES | st.none() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["job", "error", "message", "files", KEY, "x", "counts"]), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(["job", "error", "errors", "message", "x", "event", "exception", "files", "spec", "key"])


@given(st.dictionaries(NAMES | st.text(max_size=8), NESTS, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_nesting_shows_a_secret(event):
    """Any event becomes one bounded line of strict JSON without the secret in it."""
    line = json.dumps(redact.event(event), allow_nan=False)
    assert "c4nary" not in line
    assert len(line) <= redact.MAX_LINE


class Job(msgspec.Struct):
    """A value of ours under an unknown name."""

    status: str = "c4nary"


def test_values_of_ours_are_opened_only_under_known_names():
    """A struct shows its fields where fields are expected, and its class elsewhere."""
    assert redact.value("job", Job("queued")) == {"status": "queued"}
    assert redact.value("thing", Job()) == "<redacted object Job>"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_no_known_field_takes_a_link_or_a_key(name):
    """The allow-list allows names, never secrets."""
    for secret in (KEY, LINK, "alice.c4nary@example.com", "/home/c4nary/x", {"token": "c4nary"}, [KEY], b"c4nary"):
        assert "c4nary" not in json.dumps(redact.value(name, secret))


def test_an_ordinary_event_is_cheap():
    """Eight plain fields take microseconds (a wide margin keeps slow machines quiet)."""
    event = {
        "event": "job.completed",
        "level": "info",
        "key": "a-1",
        "job_id": "job_1",
        "type": "t",
        "status": "s",
        "n": 1,
    }
    started = time.perf_counter()
    for _ in range(2000):
        redact.event(event)
    assert (time.perf_counter() - started) / 2000 < 100e-6


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            models.Failure("job_failed", "no face found", "req_1", 422),
            models.Failure("job_failed", "no face found", "req_1", 422),
        ),
        (models.Failure("", ""), models.Failure("", "")),
        (models.Failure(KEY, f"see {LINK}"), models.Failure("<redacted text 16>", "see <redacted url media.sume.so>")),
        (
            models.Failure("two words", "", LINK),
            models.Failure("<redacted text 9>", "", "<redacted url media.sume.so>"),
        ),
    ],
)
def test_a_failure_is_shown_by_its_parts(given, shown):
    """Code and request id pass when they look like it, the message is scrubbed, the status stays."""
    assert redact.failure(given) == shown
