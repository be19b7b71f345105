"""What an earlier run teaches a plan."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sumeasync.cli.learned import learn, read_learned, run_of, span_of
from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Saved
from sumeasync.errors import JournalError, UsageError
from sumeasync.io.journal import Journal
from sumeasync.io.local import LocalDisk
from sumeasync.io.replay import JOURNAL
from sumeasync.models import Media
from sumeasync.testing import MemoryDisk


def ended(n: int, **more: object) -> Ended:
    """The end of a job seen alive at the age of 10 + n, and ended at 12 + n."""
    facts = {"status": "completed", "type": "face_swap", "created_at": 100.0, "alive_at": 110.0 + n, "at": 112.0 + n}
    return Ended(f"k{n}", f"job_{n}", **facts | more)  # type: ignore[arg-type]


def journal(*records: Record) -> bytes:
    """The bytes of a journal with these records."""
    disk = MemoryDisk()

    async def write() -> None:
        opened = await Journal.open(disk)
        await opened.append(*records)
        await opened.aclose()

    asyncio.run(write())
    return disk.content(JOURNAL)


def test_durations_are_the_spans_in_which_jobs_ended() -> None:
    """From eight jobs of a type on, their spans are learned; fewer teach nothing."""
    records = [*map(ended, range(8)), *(ended(n, type="ads_video") for n in range(7))]
    learned = asyncio.run(learn(journal(*records)))
    assert list(learned.durations) == ["face_swap"]
    assert learned.durations["face_swap"].spans == tuple((10.0 + n, 12.0 + n) for n in range(8))


@pytest.mark.parametrize(
    ("record", "span"),
    [
        (ended(0), (10.0, 12.0)),
        (ended(0, status="failed"), (10.0, 12.0)),
        (ended(0, alive_at=None), (0.0, 12.0)),
        (ended(0, server_seconds=11.5), (11.5, 11.5)),
        (ended(0, server_seconds=99.0), (12.0, 12.0)),
        (ended(0, server_seconds=1.0), (10.0, 10.0)),
        (ended(0, status="timed_out"), None),
        (ended(0, created_at=None), None),
        (ended(0, created_at=500.0), None),
    ],
)
def test_a_span_is_as_narrow_as_what_is_known(record: Ended, span: tuple[float, float] | None) -> None:
    """The server's word is held within what was seen; what makes no sense is passed over."""
    assert span_of(record) == span


@pytest.mark.parametrize(
    ("record", "span"),
    [
        (ended(0), (10.0, 12.0)),
        (ended(0, started_at=104.0), (6.0, 8.0)),
        (ended(0, started_at=111.0), (0.0, 1.0)),
        (ended(0, started_at=104.0, server_seconds=11.5), (7.5, 7.5)),
        (ended(0, started_at=90.0), (10.0, 12.0)),
        (ended(0, created_at=None, started_at=104.0), None),
    ],
)
def test_a_run_is_counted_from_the_start_that_was_seen(record: Ended, span: tuple[float, float] | None) -> None:
    """What a job waited at the server is not part of its run; where no start was seen, its creation counts."""
    assert run_of(record) == span


def test_durations_and_runs_are_told_apart() -> None:
    """Of each type both are learned, with the number of jobs that were seen to start."""
    records = [ended(n, started_at=104.0 if n < 3 else None) for n in range(8)]
    learned = asyncio.run(learn(journal(*records)))
    assert learned.durations["face_swap"].spans[0] == (10.0, 12.0)
    assert [learned.runs["face_swap"].spans[n] for n in (0, -1)] == [(6.0, 8.0), (17.0, 19.0)]
    assert learned.starts == {"face_swap": 3}


def test_another_run_teaches_what_this_one_does_not_know(tmp_path: Path) -> None:
    """Durations of another directory stand in for types not learned here; what is finished there counts for nothing."""
    for name, kinds, shift in (("here", ["face_swap"], 0), ("there", ["face_swap", "ads_video"], 50)):
        (tmp_path / name).mkdir()
        records = [ended(n + shift, type=kind) for kind in kinds for n in range(8)]
        (tmp_path / name / JOURNAL).write_bytes(journal(*records))
    learned = read_learned(tmp_path / "here", str(tmp_path / "there"))
    assert [learned.durations[type].spans[0] for type in ("face_swap", "ads_video")] == [(10.0, 12.0), (60.0, 62.0)]
    assert len(learned.history) == 8


def test_a_run_to_learn_from_must_be_one(tmp_path: Path) -> None:
    """What is named to learn from, and holds no run, is refused; so is a file in place of a directory."""
    with pytest.raises(UsageError, match="no run to learn from"):
        read_learned(None, str(tmp_path))
    (tmp_path / "file").touch()
    for names in ((None, str(tmp_path / "file")), (tmp_path / "file", None)):
        with pytest.raises(UsageError, match="is a file"):
            read_learned(*names)


def test_media_are_counted_by_type() -> None:
    """Bytes and jobs whose media were saved are summed up by the type of job."""
    file = Media("x", 10, "00", "video/mp4")
    learned = asyncio.run(
        learn(journal(*(r for n in range(2) for r in (ended(n), Saved(f"k{n}", f"job_{n}", 1.0, (file, file))))))
    )
    assert (learned.media["face_swap"].jobs, learned.media["face_swap"].bytes) == (2, 40)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """A directory is read as it is, half a line at its end included; nothing in it changes."""
    records = (
        Intent("a", "face_swap", "h", 1.0),
        Created("a", ("job_a",), 1.0),
        Delivered("a", 2.0, "completed", "job_a"),
    )
    data = journal(*records) + b"half a li"
    (tmp_path / JOURNAL).write_bytes(data)
    learned = read_learned(tmp_path)
    assert learned.history.is_done("a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {JOURNAL: data}
    assert learned.disk() is not learned.disk()


@pytest.mark.parametrize("name", [None, "absent", "."])
def test_nothing_there_is_nothing_learned(tmp_path: Path, name: str | None) -> None:
    """No directory, an absent one and an empty one teach nothing, and none is made."""
    learned = read_learned(tmp_path / name if name else None)
    assert (learned.disk(), learned.durations, len(learned.history)) == (None, {}, 0)
    assert not (tmp_path / "absent").exists()


def test_a_damaged_journal_is_an_error(tmp_path: Path) -> None:
    """What a run would refuse to go on from, no plan is made of."""

    async def fill() -> None:
        opened = await Journal.open(LocalDisk(tmp_path))
        for number in range(3):
            await opened.append(ended(number))
        await opened.aclose()

    asyncio.run(fill())
    data = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(data[:-200].replace(b"face", b"fake") + data[-200:])
    with pytest.raises(JournalError):
        read_learned(tmp_path)
