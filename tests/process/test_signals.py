"""Signals and pipes: what a run does when it is told to stop, is stopped, or loses its reader."""

from __future__ import annotations

import signal
import time

import pytest

from .support import Bench, check, images, interrupt, pause, serving, world

pytestmark = pytest.mark.slow

GENTLY = ("--create-rate", "10/s")
LONG = 30


def slow_answer(nth, seconds):
    """The nth create takes place, and is answered so late."""
    return [{"on": ["create"], "nth": nth, "do": {"kind": "delay", "seconds": seconds}}]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_creates_at_once(tmp_path, signum, code):
    """No create begins later than 100 ms after a signal; ids are printed, and a resume finishes, one charge each."""
    with serving() as server:
        bench = Bench(tmp_path, server, images(10))
        with bench.started(*GENTLY) as process:
            bench.await_creates(4)
            process.send_signal(signum)
            pause(0.1)
            creates = server.creates()
            said = process.communicate(timeout=10)[1]
        assert process.returncode == code
        assert 4 <= server.creates() == creates < 10
        open_jobs = bench.status()["unfinished"]
        assert open_jobs
        assert all(one["job_id"] in said for one in open_jobs)
        assert bench.run().returncode == 0
        check(bench)


def test_a_slow_create_brings_its_id_home(tmp_path):
    """A create that is being answered when the signal comes is waited for: its id is on disk, charged once."""
    with serving(rules=slow_answer(1, 2)) as server:
        bench = Bench(tmp_path, server, images(1))
        with bench.started() as process:
            bench.await_creates(1)
            interrupt(process)
        assert process.returncode == 130
        assert [one["job_id"] for one in bench.status()["unfinished"]] == list(server.ledger()["charges"])
        assert bench.run().returncode == 0
        check(bench)


def test_a_second_signal_ends_within_a_second(tmp_path):
    """The second signal does not wait for an answer; the journal is whole, and the resume finds the job in the list."""
    with serving(rules=slow_answer(3, LONG)) as server:
        bench = Bench(tmp_path, server, images(5))
        with bench.started() as process:
            bench.await_creates(3)
            process.send_signal(signal.SIGINT)
            pause(0.3)
            assert process.poll() is None
            began = time.monotonic()
            interrupt(process)
            assert time.monotonic() - began < 1
        assert process.returncode == 130
        assert len(bench.status()["unknown"]) == 1
        assert bench.run().returncode == 0
        check(bench)


def test_another_signal_during_the_end_leaves_at_once(tmp_path):
    """SIGTERM while a SIGINT is being obeyed ends within a second, with the exit code of the first; nothing is lost."""
    with serving(rules=slow_answer(3, LONG)) as server:
        bench = Bench(tmp_path, server, images(5))
        with bench.started() as process:
            bench.await_creates(3)
            process.send_signal(signal.SIGINT)
            pause(0.3)
            began = time.monotonic()
            interrupt(process, signal.SIGTERM)
            assert time.monotonic() - began < 1
        assert process.returncode == 130
        bench.status()
        assert bench.run().returncode == 0
        check(bench)


def test_a_suspended_run_goes_on_without_a_burst(tmp_path):
    """After three seconds asleep a run keeps to its rate of reads, and finishes."""
    with serving(world(concurrency=4)) as server:
        bench = Bench(tmp_path, server, images(12))
        with bench.started("--read-rate", "10/s") as process:
            bench.await_creates(12)
            process.send_signal(signal.SIGSTOP)
            pause(3)
            before = server.ledger()["times"]["read"]
            process.send_signal(signal.SIGCONT)
            pause(1)
            assert 0 < server.ledger()["times"]["read"] - before <= 21  # a second's worth, and one saved up
            process.communicate(timeout=30)
        assert process.returncode == 0
        check(bench)


def test_the_batch_outlives_its_reader(tmp_path):
    """In ``sumeasync run --json 2>&- | head -1`` the run goes on to its end, though nobody listens."""
    with serving() as server:
        bench = Bench(tmp_path, server, images(3))
        script = 'set -o pipefail; "$@" --json 2>&- | head -1'
        done = bench.shell("bash", "-c", script, "bash", *bench.command())
        assert (done.returncode, done.stdout.count("\n")) == (0, 1)
        check(bench)


def test_the_batch_outlives_a_full_standard_output(tmp_path):
    """With standard output on a full device the run goes on to its end, without a traceback."""
    with serving() as server, open("/dev/full", "w") as full:
        bench = Bench(tmp_path, server, images(3))
        done = bench.run("--json", stdout=full)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        check(bench)
