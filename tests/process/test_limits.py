"""Limits of the operating system: few file descriptors, files that may not grow."""

from __future__ import annotations

import resource

import pytest

from .support import Bench, check, check_media, check_nothing_left, images, serving

pytestmark = pytest.mark.slow

STORAGE = 7
WIDE = "reads = 64\ncreates = 64\ncreates_per_type = 64\ntransfers = 64\n"


def limited(kind, value):
    """What a process does between fork and exec to live under a limit."""
    return lambda: resource.setrlimit(kind, (value, value))


def test_few_descriptors_cost_nothing(tmp_path):
    """With fewer descriptors than connections wanted a run finishes, or stops and is resumed; nothing is lost."""
    with serving() as server:
        bench = Bench(tmp_path, server, images(60))
        bench.config.write_text(WIDE + bench.config.read_text())
        done = bench.run(preexec_fn=limited(resource.RLIMIT_NOFILE, 32))
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 1, STORAGE), done.stderr
        assert not bench.status()["unknown"], done.stderr
        assert bench.run().returncode == 0
        check(bench)
        check_nothing_left(bench)


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
