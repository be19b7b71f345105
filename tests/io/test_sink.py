"""``results.jsonl``: whole lines, each once, readable again after a crash."""

from __future__ import annotations

import errno
import json
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import StorageError
from sumeasync.io.disk import CHUNK_BYTES
from sumeasync.io.sink import RESULTS, Sink, line
from sumeasync.models import Failure, Media, Outcome, OutcomeStatus, Timings
from sumeasync.testing.disk import MemoryDisk

ONE = Outcome("a", "job_1", "image_generation", "completed", result={"n": 1})
TWO = Outcome("b", None, "face_swap", "rejected", error=Failure("bad", "no"))

Heads = list[tuple[str, str | None, OutcomeStatus]]


async def reopened(disk: MemoryDisk, *delivered: Outcome) -> tuple[Sink, Heads]:
    """The sink on this disk, of which `delivered` are recorded as such, and what it told of the lines it found."""
    heads: Heads = []
    names = [(one.key, one.job_id) for one in delivered]
    sink = await Sink.open(disk, lambda head: heads.append((head.key, head.job_id, head.status)), lambda: names)
    return sink, heads


async def test_lines_are_appended_and_told_again() -> None:
    """What was written is told by the next opening, in order, and more is appended to it."""
    disk = MemoryDisk()
    sink, heads = await reopened(disk)
    assert heads == []
    await sink.write([ONE, TWO])
    await sink.close()
    sink, heads = await reopened(disk)
    assert heads == [("a", "job_1", "completed"), ("b", None, "rejected")]
    await sink.write([ONE])
    assert disk.content(RESULTS) == line(ONE) + line(TWO) + line(ONE)


async def test_a_written_line_survives_a_power_failure() -> None:
    """A write that returned is durable, its file included."""
    disk = MemoryDisk()
    sink, _ = await reopened(disk)
    await sink.write([ONE])
    assert disk.crash().content(RESULTS) == line(ONE)


@pytest.mark.parametrize("cut", range(1, len(line(TWO))))
async def test_half_a_line_is_cut_off(cut: int) -> None:
    """A last line without its end, wherever it was cut, is taken away durably and not told."""
    disk = MemoryDisk()
    disk.put(RESULTS, line(ONE) + line(TWO)[:cut])
    sink, heads = await reopened(disk, ONE)
    assert heads == [("a", "job_1", "completed")]
    await sink.write([TWO])
    assert disk.crash(Random(1)).content(RESULTS) == line(ONE) + line(TWO)


async def test_lines_longer_than_a_chunk_are_read() -> None:
    """A line is put together from as many chunks as it takes."""
    disk = MemoryDisk()
    long = msgspec.structs.replace(ONE, result="x" * (2 * CHUNK_BYTES))
    disk.put(RESULTS, line(long) + line(TWO))
    _, heads = await reopened(disk)
    assert [key for key, _, _ in heads] == ["a", "b"]


BROKEN = [
    b"\n",
    b"{}\n",
    b"[]\n",
    b"nonsense\n",
    b"\xff\n",
    b'{"key":"a","status":"odd"}\n',
    b"\0" * 512 + b"\n",
    line(ONE).replace(b'"n"', b'"\xff"'),
    line(ONE).replace(b'"n"', b'"\0"'),
    line(TWO)[:-1] + line(TWO),
]


@pytest.mark.parametrize("rest", [b"", line(TWO)[:9], line(TWO), line(ONE)], ids=["end", "half", "new", "old"])
@pytest.mark.parametrize("broken", BROKEN)
async def test_what_a_torn_write_left_is_cut_off(broken: bytes, rest: bytes) -> None:
    """From the first broken line on nothing is told, where nothing before it is missing; a copy of it is kept."""
    disk = MemoryDisk()
    disk.put(RESULTS, line(ONE) + broken + rest)
    sink, heads = await reopened(disk, ONE)
    assert (sink.broken, heads) == (f"{RESULTS}.broken-1", [("a", "job_1", "completed")])
    await sink.write([TWO])
    assert disk.crash().content(RESULTS) == line(ONE) + line(TWO)
    assert disk.crash().content(f"{RESULTS}.broken-1") == broken + rest


@pytest.mark.parametrize("rest", [b"", line(TWO), line(ONE)], ids=["end", "missing", "double"])
@pytest.mark.parametrize("broken", [*BROKEN, line(TWO)[:-1]])
async def test_damage_of_what_was_durable_is_refused(broken: bytes, rest: bytes) -> None:
    """Where a line is broken, and one that is recorded is not before it, nothing is guessed: the file is left alone."""
    disk = MemoryDisk()
    disk.put(RESULTS, line(ONE) * 2 + broken + rest)
    with pytest.raises(StorageError, match=r"line 3 of results.jsonl is damaged, .* missing that .* before: 1") as told:
        await reopened(disk, ONE, TWO)
    assert "restore the file from a copy" in told.value.hint
    assert (disk.paths(), disk.content(RESULTS)) == ([RESULTS], line(ONE) * 2 + broken + rest)


@pytest.mark.parametrize("foreign", [b"a,b,c\n1,2,3\n", line(ONE) + b"mine", line(ONE)[:-1]])
async def test_a_file_that_no_run_left_is_not_touched(foreign: bytes) -> None:
    """Where the journal knows of nothing, a file that is not whole is nobody's torn write."""
    disk = MemoryDisk()
    disk.put(RESULTS, foreign)
    with pytest.raises(StorageError, match=r"line \d of results.jsonl is not a result, and the journal knows of none"):
        await Sink.open(disk, print, None)
    assert (disk.paths(), disk.content(RESULTS)) == ([RESULTS], foreign)


async def test_results_that_were_moved_away_are_not_asked_for() -> None:
    """A file that is whole is gone on with, whatever is recorded."""
    disk = MemoryDisk()
    disk.put(RESULTS, line(TWO))
    sink, heads = await reopened(disk, ONE, TWO)
    assert (sink.broken, len(heads), disk.paths()) == (None, 1, [RESULTS])


async def test_a_crash_while_mending_loses_nothing() -> None:
    """A power failure at any point of cutting off a torn end leaves it to be mended again, with a copy of it."""
    disk, found = MemoryDisk(), list[MemoryDisk]()
    disk.put(RESULTS, line(ONE) + b"\0\n" + line(TWO))
    rng = Random(1)
    disk.on_operation = lambda operation, path: found.extend([disk.crash(), disk.crash(rng), disk.crash(rng, "subset")])
    await reopened(disk, ONE)
    assert len(found) > 20
    for left in found:
        _, heads = await reopened(left, ONE)
        assert [key for key, _, _ in heads] == ["a"]
        assert left.crash().content(RESULTS) == line(ONE)
        assert left.crash().content(f"{RESULTS}.broken-1") == b"\0\n" + line(TWO)


async def test_after_a_failed_write_the_sink_is_dead() -> None:
    """A disk that refused once is not trusted again: the next write fails too, and half a line is not followed."""
    disk = MemoryDisk()
    sink, _ = await reopened(disk)
    disk.fail("sync", errno.EIO)
    for _ in range(2):
        with pytest.raises(StorageError):
            await sink.write([ONE])
    await sink.close()


def test_a_line_keeps_the_payload_whole() -> None:
    """Every field is there, readable as it was meant; `server_type` only when there is one."""
    files = (Media("media/a/job_1.png", 3, "00", "image/png"),)
    whole = msgspec.structs.replace(ONE, files=files, result={"é": [1, None]}, timings=Timings(created=1.5))
    assert json.loads(line(whole)) == {
        "key": "a",
        "job_id": "job_1",
        "type": "image_generation",
        "status": "completed",
        "result": {"é": [1, None]},
        "files": [
            {"path": "media/a/job_1.png", "bytes": 3, "sha256": "00", "content_type": "image/png"},
        ],
        "error": None,
        "timings": {"created": 1.5},
        "polls": 0,
    }
    assert json.loads(line(msgspec.structs.replace(ONE, server_type="x")))["server_type"] == "x"


texts = st.text(max_size=8) | st.text('\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ud800\udfff"\\\0', max_size=8)
payloads = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(texts, payloads)
def test_any_outcome_is_one_line(key: str, result: object) -> None:
    """Whatever an outcome holds, its line is one by anybody's count, and can be read again by us and by others."""
    written = line(Outcome(key, "job_1", "t", "completed", result=result, error=Failure("x", key)))
    assert written.decode().splitlines(keepends=True) == [written.decode()]
    again = msgspec.json.decode(written, type=Outcome)
    assert again.key == key.encode(errors="replace").decode()
    assert json.loads(written)["status"] == "completed"


@pytest.mark.parametrize(("error", "ok"), [(None, True), (Failure("download_failed"), False)])
async def test_a_line_tells_whether_all_went_well(error: Failure | None, ok: bool) -> None:
    """A job that completed without its media is not told as a success."""
    disk, told = MemoryDisk(), list[bool]()
    sink, _ = await reopened(disk)
    await sink.write([Outcome("k", "job_1", "video_generation", "completed", error=error)])
    await sink.close()
    await (await Sink.open(disk, lambda head: told.append(head.ok), list)).close()
    assert told == [ok]


async def test_what_is_believed_is_durable() -> None:
    """A line that a killed process wrote and never synced survives a power failure once it was told of."""
    disk = MemoryDisk()
    file = await disk.append(RESULTS)
    await file.commit(line(ONE))
    await file.write(line(TWO))
    await file.close()
    _, heads = await reopened(disk)
    assert len(heads) == 2
    assert (await reopened(disk.crash()))[1] == heads
