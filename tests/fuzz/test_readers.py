"""Readers of what strangers write: any bytes, and documents nearly right; nothing foreign is raised, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from sumeasync import logs
from sumeasync.core import redact, strictjson
from sumeasync.core.budget.retryafter import MAX_RETRY_AFTER_SECONDS, rate_limit, retry_after_seconds
from sumeasync.core.payload import localize
from sumeasync.core.records import Created, Delivered, Ended, Intent, Rejected, Saved
from sumeasync.core.settings import Settings
from sumeasync.core.specs import parse_manifest
from sumeasync.dialects.so import So
from sumeasync.errors import ApiError, BadResponseError, JournalError, ManifestError, SettingsError, StorageError
from sumeasync.io.framing import Encoder
from sumeasync.io.names import media_stem
from sumeasync.io.replay import replay
from sumeasync.models import Failure, Media, Response, Spec
from sumeasync.testing import MemoryDisk
from sumeasync.testing.canary import Canary, sightings

Fuzz = Callable[..., None]

BIRD = Canary()
SECRETS = (BIRD.key, BIRD.link, BIRD.email, BIRD.workspace)
NAMES = (
    "id job_id job jobs job_ids data status state type error code message request_id result url urls video_url object "
    "next_cursor has_more created_at completed_at upload_url required_headers object_key content_type key input file"
).split()
WORDS = (
    "job_1",
    "completed",
    "QUEUED",
    "https://h.io/a.mp4?sig=1",
    "2026-01-02T03:04:05Z",
    "image/png",
    "\ud800",
    "..",
    "",
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=20)
    | st.sampled_from(SECRETS)
)  # fmt: skip
names = st.sampled_from(NAMES) | st.text(max_size=5)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=30,
)


def damaged(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """A seed with a few bytes cut out, put in or doubled."""
    edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), st.binary(max_size=8)), max_size=4)

    def apply(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
        for start, length, new in edits:
            seed = seed[:start] + new + seed[start + length :]
        return seed

    return st.builds(apply, st.sampled_from(seeds), edits) | st.binary(max_size=200)


def test_strict_json(fuzz: Fuzz) -> None:
    """Any bytes: a document that can be written again and means the same to everybody, or a `JSONError`."""

    def check(data: bytes) -> None:
        with suppress(strictjson.JSONError):
            value = strictjson.loads(data)
            again = json.dumps(value, allow_nan=False)
            assert strictjson.loads(again.encode()) == value

    fuzz(check, damaged(b'{"a": [1, 2.5e3, "\\ud83d\\ude00", {"b": null}]}', b'"\\ud800"', b"[[[[1]]]]", b"-0.0"))


@pytest.mark.parametrize("status", [200, 402, 409, 429, 500, 503])
def test_dialect(fuzz: Fuzz, status: int) -> None:
    """Any document as any answer: a value or a `BadResponseError`; what it says is fit to be shown."""
    so = So()

    def check(body: Any, header: str) -> None:
        response = Response(status, body, {"retry-after": header, "date": header, "x-sume-request-id": header})
        for read in (so.read_created, so.read_presign, so.read_page):
            with suppress(BadResponseError):
                read(response)
        for read_one in (so.read_job, so.read_result):
            with suppress(BadResponseError):
                assert sightings(repr(read_one(response, "job_1")).encode(), ()) == []
        so.media(body)
        error = so.error(response, "create")
        assert isinstance(error, ApiError | BadResponseError)
        assert sightings(f"{error!r} {vars(error)}".encode(), (BIRD.key, BIRD.email)) == []

    fuzz(check, documents, st.text(max_size=40))


def journal(records: int) -> bytes:
    """A journal as it is written."""
    media = (Media("media/k/job_1.png", 3, "0" * 64, "image/png"),)
    writer = Encoder()
    lines = [writer.header("run")]
    for n in range(records):
        lines += map(
            writer.line,
            (
                Intent(f"k{n}", "face_swap", "h", 1.0),
                Created(f"k{n}", (f"job_{n}",), 2.0),
                Ended(f"k{n}", f"job_{n}", "completed", 3.0),
                Saved(f"k{n}", f"job_{n}", 4.0, media),
                Delivered(f"k{n}", 5.0, "completed", f"job_{n}"),
                Rejected(f"r{n}", 6.0, Failure("x")),
            ),
        )
    return b"".join(lines)


def test_journal(fuzz: Fuzz) -> None:
    """A damaged journal is read up to the damage, or refused; records are never made up."""
    seen: list[object] = []
    known: set[object] = set()

    async def read(data: bytes, into: Callable[[object], object]) -> None:
        disk = MemoryDisk()
        file = await disk.create("journal.log")
        await file.commit(data)
        await file.close()
        await replay(disk, observe=into)

    asyncio.run(read(journal(3), lambda record: known.add(msgspec.json.encode(record))))

    def check(data: bytes) -> None:
        seen.clear()
        with suppress(JournalError):
            asyncio.run(read(data, lambda record: seen.append(msgspec.json.encode(record))))
        assert set(seen) <= known

    fuzz(check, damaged(journal(3), journal(1)))


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_manifest(fuzz: Fuzz, form: str) -> None:
    """Any text as a manifest: specs, or a `ManifestError` that names its problems."""
    seeds = {
        "jsonl": b'{"key": "a", "type": "image_generation", "input": {"prompt": "p"}}\n{"job_id": "job_1"}\n',
        "json": b'{"defaults": {"type": "image_generation"}, "specs": [{"key": "a", "input": {"prompt": "p"}}]}',
        "csv": b'key,type,prompt,input.n\na,image_generation,"x, y",1\n',
    }

    def check(data: bytes) -> None:
        problems: list[str] = []
        specs: list[Spec] = []
        try:
            specs = parse_manifest(data.decode(errors="surrogateescape"), form=form)
        except ManifestError as error:
            problems = error.problems
        assert bool(specs) is not bool(problems)
        assert len({spec.key for spec in specs}) == len(specs)

    fuzz(check, damaged(seeds[form]))


def test_settings(fuzz: Fuzz) -> None:
    """Any text as a settings file: settings, or a `SettingsError`."""

    def check(data: bytes, poll: str) -> None:
        with suppress(SettingsError):
            Settings.load(data.decode(errors="replace"), polls=[poll])

    seed = b'max_in_flight = 2000\nread_rate = "120/m"\n[poll.video_generation]\nfirst_delay = 20\ninterval = 6\n'
    fuzz(check, damaged(seed), st.text(max_size=30))


def test_names(fuzz: Fuzz) -> None:
    """Any key and id: a path below ``media`` that a real file system takes and keeps below its folder."""
    disk = MemoryDisk()

    def check(key: str, job_id: str, index: int) -> None:
        stem = media_stem(key, job_id, index)
        assert stem.count("/") == 2
        assert ".." not in stem.split("/")
        with tempfile.TemporaryDirectory() as folder, suppress(StorageError):
            asyncio.run(disk.size(f"{stem}.png"))
            with open(f"{folder}/{stem.rpartition('/')[2]}.part.json", "x"):
                pass

    texts = st.text(max_size=300) | st.sampled_from(("..", "con", "a/b", "\0", "%2e%2e"))
    fuzz(check, texts, texts, st.integers(0, 10**6))


def test_retry_after(fuzz: Fuzz) -> None:
    """Any header: nothing, or seconds between none and the cap."""

    def check(text: str, now: float) -> None:
        wait = retry_after_seconds(text, now)
        assert wait is None or 0 <= wait <= MAX_RETRY_AFTER_SECONDS
        view = rate_limit({"ratelimit-reset": text, "ratelimit-remaining": text, "ratelimit": text}, now)
        assert view is None or all(one is None or not math.isnan(one) for one in msgspec.structs.astuple(view))

    seeds = st.sampled_from(
        ("Wed, 21 Oct 2026 07:28:00 GMT", "1e400", "inf", "-1", "0x10", "limit=1, reset=2", "9" * 99)
    )
    fuzz(check, seeds | st.text(max_size=60), st.floats(allow_nan=True))


def test_redaction(fuzz: Fuzz) -> None:
    """Any event with a secret anywhere in it: one printable line of JSON without the secret."""

    def check(event: Any, secret: str, before: str, after: str) -> None:
        given = {
            "event": f"{before} {secret} {after}",
            "message": event,
            "error": ValueError(secret, event),
            "x": event,
        }
        line = logs.render_json(redact.event(given))
        assert line.isprintable()
        assert len(line) <= redact.MAX_LINE
        assert sightings(line.encode(), (BIRD.key, BIRD.email)) == []

    fuzz(check, documents, st.sampled_from(SECRETS), st.text(max_size=10), st.text(max_size=10))


def test_results_keep_no_link(fuzz: Fuzz) -> None:
    """Any payload with a signed link or the key in it: neither is left of it."""

    def check(payload: Any, name: str) -> None:
        kept = localize({name: payload, "url": BIRD.link, "note": f"{BIRD.key} {name}", BIRD.key: 1}, {})
        assert sightings(json.dumps(kept).encode(), (BIRD.key,)) == []
        assert BIRD.link not in json.dumps(kept)

    fuzz(check, documents, st.text(max_size=20))
