"""Single system calls that fail, or are the last thing a run does; strace injects them.

``SUMEASYNC_STRACE=20`` plays every fault at the first to the twentieth call of each thread; unset skips them.
"""

from __future__ import annotations

import os
import shutil

import pytest

from sumeasync.dialects.so import CREATES
from sumeasync.simulator.ledger import body_hash

from .support import Bench, check, check_media, check_nothing_left, mixed, serving

COUNT = int(os.environ.get("SUMEASYNC_STRACE", "0"))
REASON = "SUMEASYNC_STRACE is not set" if not COUNT else "strace is not installed"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (COUNT and shutil.which("strace")), reason=REASON)]

SPECS = 10
STORAGE = 7
FINISHED = (0, 6)
FILES = ("journal.log", "results.jsonl", ".")
KILLS = ("fdatasync", "fsync", "linkat,rename,renameat", "unlinkat", "openat", "write,sendto,sendmsg")
ERRORS = ("fsync,fdatasync:error=EIO", "write:error=ENOSPC", "linkat,rename,renameat:error=EIO", "openat:error=EMFILE")


def traced(bench, injection, paths=FILES):
    """Run with a fault injected into calls on these files, or into any; returns the finished process."""
    calls = injection.partition(":")[0]
    where = [part for path in paths for part in ("-P", str(bench.out / path) if path != "." else str(bench.out))]
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={injection}", *where]
    return bench.shell(*strace, *bench.command())


def resume(bench):
    """Run to the end; what is unknown must be a create that never arrived, and is then sent again by hand."""
    done = bench.run()
    assert done.returncode in FINISHED, done.stderr
    unknown = [one["key"] for one in bench.status()["unknown"]]
    received = bench.server.ledger()["received"]
    for spec in bench.specs:
        if spec["key"] in unknown:
            assert body_hash(CREATES[spec["type"]], spec["input"]) not in received, "it was sent, and was not found"
    check(bench, unknown=unknown)
    if unknown:
        assert bench.run("--recreate-unknown").returncode == 0
    check(bench)
    check_nothing_left(bench)
    return unknown


@pytest.mark.parametrize("nth", range(1, COUNT + 1))
@pytest.mark.parametrize("calls", KILLS)
def test_a_kill_at_a_system_call_costs_nothing(tmp_path, calls, nth):
    """Killed as it enters its nth such call, a run is resumed to its end with one charge a spec."""
    paths = FILES if calls == "openat" else ()
    with serving() as server:
        bench = Bench(tmp_path, server, mixed(SPECS, tmp_path))
        bench.out.mkdir()
        done = traced(bench, f"{calls}:signal=SIGKILL:when={nth}", paths)
        unknown = resume(bench)
        print(calls, nth, "exit", done.returncode, "unknown", unknown)  # noqa: T201 - shown with -rP


@pytest.mark.parametrize("nth", range(1, COUNT + 1))
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_a_system_call_costs_nothing(tmp_path, error, nth):
    """When its nth such call on its own files fails, a run ends with 7 or 0, and is resumed to its end."""
    with serving() as server:
        bench = Bench(tmp_path, server, mixed(SPECS, tmp_path))
        bench.out.mkdir()
        done = traced(bench, f"{error}:when={nth}", () if "rename" in error else FILES)
        assert done.returncode in (0, STORAGE), done.stderr
        assert "Traceback" not in done.stderr
        check_media(bench)
        unknown = resume(bench)
        print(error, nth, "exit", done.returncode, "unknown", unknown)  # noqa: T201 - shown with -rP
