"""Limits of the operating system: few file descriptors, files that may not grow."""

from __future__ import annotations

import resource

import pytest

from .support import Bench, check, check_media, check_nothing_left, images, mixed, serving

pytestmark = pytest.mark.slow

STORAGE = 7
WIDE = "reads = 64\ncreates = 64\ncreates_per_type = 64\ntransfers = 64\n"


def limited(kind, value):
    """What a process does between fork and exec to live under a limit."""
    return lambda: resource.setrlimit(kind, (value, value))


@pytest.mark.parametrize("files", [32, 64])
def test_few_descriptors_only_cost_time(tmp_path, files):
    """With far fewer descriptors than connections wanted a run still finishes: it opens fewer at once."""
    with serving() as server:
        bench = Bench(tmp_path, server, mixed(60, tmp_path))
        bench.config.write_text(WIDE + bench.config.read_text())
        done = bench.run(preexec_fn=limited(resource.RLIMIT_NOFILE, files))
        assert done.returncode == 0, done.stderr
        check(bench)
        check_nothing_left(bench)


@pytest.mark.parametrize("files", [12, 16])
def test_too_few_descriptors_are_found_first(tmp_path, files):
    """With too few descriptors for one transfer nothing is sent, and the error says how to allow more."""
    with serving() as server:
        bench = Bench(tmp_path, server, images(3))
        done = bench.run(preexec_fn=limited(resource.RLIMIT_NOFILE, files))
        assert done.returncode == STORAGE, done.stderr
        assert "ulimit -n" in done.stderr
        assert "Traceback" not in done.stderr
        assert server.requests() == 0
        assert bench.run().returncode == 0
        check(bench)


@pytest.mark.parametrize("size", [2_000, 100_000])
def test_a_file_that_may_not_grow_is_never_taken_for_whole(tmp_path, size):
    """A short write (the limit falls into a record, a line or a file) ends the run with 7; a resume finishes."""
    specs = [spec | {"type": "video_generation"} for spec in images(8)]
    with serving() as server:
        bench = Bench(tmp_path, server, specs)
        done = bench.run(preexec_fn=limited(resource.RLIMIT_FSIZE, size))
        assert done.returncode == STORAGE, done.stderr
        assert "EFBIG" in done.stderr
        assert "Traceback" not in done.stderr
        check_media(bench)
        bench.status()
        assert bench.run().returncode == 0
        check(bench)
        check_nothing_left(bench)
