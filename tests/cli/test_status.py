from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest
from typer.testing import CliRunner

from sumeasync.cli.app import app
from sumeasync.cli.standing import read_standing
from sumeasync.core.records import Created, Delivered, Ended, Intent, Rejected, Saved, Unknown
from sumeasync.errors import JournalError, StorageError, UsageError
from sumeasync.io.journal import Journal
from sumeasync.io.local import LocalDisk
from sumeasync.io.lock import LOCK
from sumeasync.models import Failure, Media

DONE = b'{"key":"a","job_id":"job_a","status":"completed","files":[{"path":"x","bytes":10},{"path":"y","bytes":5}]}\n'
RECORDS = [
    Intent("a", "image_generation", "h", 1.0),
    Created("a", ("job_a",), 1.0),
    Ended("a", "job_a", "completed", 2.0),
    Saved("a", "job_a", 2.0, (Media("x", 10, "00", "image/png"),)),
    Delivered("a", 2.0, "completed", "job_a"),
    Intent("b", "face_swap", "h", 1.0),
    Created("b", ("job_b1", "job_b2"), 1.0),
    Intent("c", "ads_video", "h", 1.0),
    Unknown("c", 1.0, Failure("transport")),
    Intent("d", "ads_video", "h", 1.0),
    Rejected("d", 1.0, Failure("bad_request")),
    Delivered("d", 1.0, "rejected"),
    Intent("e", "ads_video", "h", 1.0),
    Rejected("e", 1.0, Failure("connect")),
]


@pytest.fixture
def out(tmp_path):
    """A directory with one job done, two running, one create without an answer and two refused, one of them for now."""

    async def fill():
        journal = await Journal.open(LocalDisk(tmp_path))
        for record in RECORDS:
            await journal.append(record)
        await journal.aclose()

    asyncio.run(fill())
    (tmp_path / "results.jsonl").write_bytes(DONE + b'{"key":"half a li')
    return tmp_path


def status(*args):
    """Run `sumeasync status`."""
    return CliRunner().invoke(app, ["status", *map(str, args)])


def test_a_standing_tells_what_is_done_and_what_is_open(out):
    """Phases, outcomes, files, running jobs and unknown creates are told apart; half a line does not count."""
    standing = asyncio.run(read_standing(out))
    assert standing.specs == {"created": 2, "unknown": 1, "rejected": 2}
    assert (standing.outcomes, standing.media_files, standing.media_bytes) == ({"completed": 1}, 2, 15)
    assert [one.job_id for one in standing.unfinished] == ["job_b1", "job_b2"]
    assert [one.key for one in standing.unknown] == ["c"]
    assert [one.key for one in standing.refused] == ["e"]


def test_the_status_is_shown_in_words(out):
    """Counts, open ids and the next command are printed."""
    text = status(out).output
    assert "outcomes: 1 completed" in text
    assert "  job_b2  b  running" in text
    assert "without an answer, perhaps paid: 1" in text
    assert "refused, not paid: 1" in text
    assert f"go on with: sumeasync run MANIFEST --out {out}" in text


def test_the_status_is_shown_to_machines(out):
    """--json prints one document."""
    document = json.loads(status(out, "--json").output)
    assert [one["job_id"] for one in document["unfinished"]] == ["job_b1", "job_b2"]


def test_looking_changes_nothing(out):
    """Neither a file nor a lock is made, and what is there stays as it is."""
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert status(out).exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_directory_without_a_run_is_a_usage_error(tmp_path):
    """A directory that no run was in is told, not taken for a run without specs."""
    assert isinstance(status(tmp_path).exception, UsageError)
    assert "there is no run in" in str(status(tmp_path).exception)


def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path):
    """A wrong name is told, not taken for an empty run."""
    assert "there is no directory" in str(status(tmp_path / "none").exception)


@pytest.mark.parametrize(("host", "pid", "seen"), [(None, None, True), ("elsewhere", None, False), (None, 0, False)])
def test_a_run_under_way_is_named(out, host, pid, seen):
    """The holder of the lock is shown when its process lives on this machine."""
    holder = {"pid": 2**22 + 1 if pid == 0 else os.getpid(), "host": host or socket.gethostname(), "since": 0.0}
    (out / LOCK).write_text(json.dumps(holder))
    assert ("a run is under way" in status(out).output) is seen


def test_a_damaged_journal_is_told(out):
    """Damage in the middle of the journal is an error, not a smaller run."""
    data = bytearray((out / "journal.log").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "journal.log").write_bytes(data)
    assert isinstance(status(out).exception, JournalError)


def test_damaged_results_are_told(out):
    """A line that is no result is an error where results are missing that were durable."""
    (out / "results.jsonl").write_bytes(b"hello\n" + DONE)
    assert isinstance(status(out).exception, StorageError)
    assert "line 1 of results.jsonl is damaged" in str(status(out).exception)


def test_what_a_crash_left_of_a_write_does_not_count(out):
    """A hole in what was never durable is no error: the next run cuts it off."""
    refused = b'{"key":"d","job_id":null,"status":"rejected"}\n'
    (out / "results.jsonl").write_bytes(DONE + refused + bytes(512) + b"\n" + DONE.replace(b"job_a", b"job_x"))
    assert asyncio.run(read_standing(out)).outcomes == {"completed": 1, "rejected": 1}
