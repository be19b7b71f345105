"""Single system calls that fail, or are the last thing a run does; strace injects them.

A few faults are played at one call; ``SUMEASYNC_STRACE=20`` plays it at the first to the twentieth of each thread,
``SUMEASYNC_STRACE=200/7`` at every seventh of the first two hundred.
"""

from __future__ import annotations

import os
import shutil

import pytest

from sumeasync.dialects.so import CREATES
from sumeasync.simulator.ledger import body_hash

from .support import Bench, check, check_media, check_nothing_left, mixed, serving

COUNT, _, STEP = os.environ.get("SUMEASYNC_STRACE", "0").partition("/")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")]

SPECS = 10
STORAGE = 7
FINISHED = (0, 6)
FILES = ("journal.log", "results.jsonl", ".")
KILLS = {
    "fdatasync": 4,
    "fsync": None,
    "linkat,rename,renameat": 2,
    "unlinkat": None,
    "openat": None,
    "write,sendto,sendmsg": 40,
}
ERRORS = {
    "fsync,fdatasync:error=EIO": 5,
    "write:error=ENOSPC": 7,
    "linkat,rename,renameat:error=EIO": None,
    "openat:error=EMFILE": None,
    "socket:error=EMFILE": 4,
    "close:error=EIO": None,
}


def cases(calls):
    """Every call that is played, with its number: the one given, if any, unless more are asked for."""
    asked = range(1, int(COUNT) + 1, int(STEP or 1))
    return [(name, nth) for name, one in calls.items() for nth in asked or [one] if nth]


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


@pytest.mark.parametrize(("calls", "nth"), cases(KILLS))
def test_a_kill_at_a_system_call_costs_nothing(tmp_path, calls, nth):
    """Killed as it enters its nth such call, a run is resumed to its end with one charge a spec."""
    paths = FILES if calls == "openat" else ()
    with serving() as server:
        bench = Bench(tmp_path, server, mixed(SPECS, tmp_path))
        bench.out.mkdir()
        done = traced(bench, f"{calls}:signal=SIGKILL:when={nth}", paths)
        unknown = resume(bench)
        print(calls, nth, "exit", done.returncode, "unknown", unknown)  # noqa: T201 - shown with -rP


@pytest.mark.parametrize(("error", "nth"), cases(ERRORS))
def test_an_error_of_a_system_call_costs_nothing(tmp_path, error, nth):
    """When its nth such call fails, on its own files or on a socket, a run ends with 7 or 0, and is resumed."""
    with serving() as server:
        bench = Bench(tmp_path, server, mixed(SPECS, tmp_path))
        bench.out.mkdir()
        done = traced(bench, f"{error}:when={nth}", () if "rename" in error or "socket" in error else FILES)
        assert done.returncode in ((0,) if "socket" in error else (0, STORAGE)), done.stderr
        assert "Traceback" not in done.stderr
        check_media(bench)
        unknown = resume(bench)
        print(error, nth, "exit", done.returncode, "unknown", unknown)  # noqa: T201 - shown with -rP
