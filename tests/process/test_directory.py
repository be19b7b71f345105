"""The output directory: held by one run at a time, and found unusable before anything is paid."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import msgspec
import pytest

from .support import BRISK_TYPES, Bench, check, check_media, check_nothing_left, images, serving, world

pytestmark = pytest.mark.slow

STORAGE = 7


@contextmanager
def mounted(folder, options):
    """A small file system of its own; skips where mounts are not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no mounts here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server():
    """A simulator of the test's own."""
    with serving() as server:
        yield server


def test_a_second_run_is_refused_and_takes_over_from_a_dead_one(tmp_path, server):
    """A run on a held directory ends with 7 and names the holder's pid; once the holder is killed it takes over."""
    bench = Bench(tmp_path, server, images(20))
    with bench.started("--create-rate", "2/s") as first:
        bench.await_creates(3)
        began = time.monotonic()
        second = bench.run()
        assert time.monotonic() - began < 5  # most of it is the start of the interpreter
        assert second.returncode == STORAGE
        assert str(first.pid) in second.stderr
        first.kill()
    assert bench.run().returncode == 0
    check(bench)


def unusable(bench):
    """Run, and see that it ended with 7 before anything was created; returns what was said."""
    done = bench.run()
    assert done.returncode == STORAGE, done.stderr
    assert "Traceback" not in done.stderr
    assert bench.server.creates() == 0
    return done.stderr


def test_a_read_only_directory_is_found_first(tmp_path, server):
    """On a read-only file system nothing is created."""
    with mounted(tmp_path / "out", "size=1m,ro"):
        assert "EROFS" in unusable(Bench(tmp_path, server, images(3)))


def test_a_directory_under_a_file_is_found_first(tmp_path, server):
    """When a parent of the directory is a file nothing is created."""
    (tmp_path / "file").write_text("")
    assert "ENOTDIR" in unusable(Bench(tmp_path, server, images(3), out=tmp_path / "file" / "out"))


def test_a_name_too_long_is_found_first(tmp_path, server):
    """When the directory cannot have its name nothing is created."""
    assert "ENAMETOOLONG" in unusable(Bench(tmp_path, server, images(3), out=tmp_path / ("o" * 300)))


def test_a_loop_of_links_is_found_first(tmp_path, server):
    """When the directory's name leads in a circle nothing is created."""
    (tmp_path / "out").symlink_to(tmp_path / "out")
    unusable(Bench(tmp_path, server, images(3)))


def test_a_directory_without_permission_is_found_first(tmp_path, server):
    """When the directory may not be written nothing is created, and the hint speaks of permissions."""
    bench = Bench(tmp_path, server, images(3))
    bench.out.mkdir(mode=0o500)
    mere_owner = []
    if os.geteuid() == 0:  # whom permissions do not stop, unless this is taken away
        mere_owner = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if not shutil.which("setpriv"):
            pytest.skip("permissions do not stop root, and there is no setpriv")
    done = bench.shell(*mere_owner, *bench.command())
    assert done.returncode == STORAGE, done.stderr
    assert "EACCES" in done.stderr
    assert "permissions" in done.stderr
    assert server.creates() == 0


def test_a_full_disk_is_found_first(tmp_path, server):
    """When not even a probe can be written nothing is created."""
    with mounted(tmp_path / "out", "size=64k") as out:
        fill(out)
        assert "ENOSPC" in unusable(Bench(tmp_path, server, images(3)))


def fill(folder, leave=0):
    """Fill the file system of a folder, all but `leave` bytes; returns the file to remove."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        left = os.statvfs(folder)
        file.write(bytes(max(0, left.f_bavail * left.f_frsize - leave)))
    return ballast


def test_a_disk_without_room_for_media_is_found_first(tmp_path, server):
    """When media would leave less than the spare room nothing is created, and the error says what to do."""
    bench = Bench(tmp_path, server, images(3))
    with mounted(bench.out, "size=4m"):
        assert "free space" in unusable(bench)
        usual = bench.config.read_text()
        bench.config.write_text("spare_bytes = 1_000_000\n" + usual)
        assert bench.run().returncode == 0
        check(bench)
        bench.config.write_text(usual)
        check_nothing_left(bench)  # which needs no room


UNANNOUNCED = {"on": ["download"], "do": {"kind": "truncate", "fraction": 1.0, "framing": "none"}}


@pytest.mark.parametrize(("rules", "said"), [([], "no room for media"), ([UNANNOUNCED], "ENOSPC")])
def test_media_that_do_not_fit_cost_nothing_else(tmp_path, rules, said):
    """1 MiB for files of 400 kB: what fits is saved, nothing more is created, and a resume with room finishes."""
    specs = [spec | {"type": "ads_video"} for spec in images(20)]
    large = msgspec.structs.replace(BRISK_TYPES["ads_video"], media_bytes=400_000)
    types = BRISK_TYPES | {"ads_video": large}
    settings = msgspec.structs.replace(world(), types=types)
    with serving(settings, rules) as server, mounted(tmp_path / "out", "size=1m") as out:
        bench = Bench(tmp_path, server, specs)
        bench.config.write_text("spare_bytes = 1\n" + bench.config.read_text())
        done = bench.run("--create-rate", "4/s")
        assert done.returncode == STORAGE, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        whole = list((out / "media").rglob("*.mp4"))
        assert len(whole) == 2
        assert not list((out / "media").rglob("*.part*"))
        check_media(bench, bench.lines())
        assert len(bench.lines()) == len(whole)
        assert server.creates() < len(specs)
        subprocess.run(["mount", "-o", "remount,size=64m", out], check=True)
        assert bench.run().returncode == 0
        check(bench)
        check_nothing_left(bench)


def test_a_disk_that_fills_up_with_media_ends_the_run(tmp_path, server):
    """When the disk has no room for media the run ends with 7, creates no more, and is finished once there is room."""
    specs = [spec | {"type": "video_generation"} for spec in images(8)]
    bench = Bench(tmp_path, server, specs)
    with mounted(bench.out, "size=300m") as out, bench.started("--create-rate", "4/s") as process:
        bench.await_creates(1)
        ballast = fill(out, leave=200 << 20)  # less than what is to stay free
        said = process.communicate(timeout=30)[1]
        assert process.returncode == STORAGE, said
        assert "Traceback" not in said
        creates = server.creates()
        assert creates < 8
        check_media(bench)
        ballast.unlink()
        assert bench.run().returncode == 0
        check(bench)
        check_nothing_left(bench)


def test_a_disk_that_fills_up_with_the_journal_ends_the_run(tmp_path, server):
    """When a record cannot be written the run ends with 7 at once, says which jobs run, and loses none of them."""
    bench = Bench(tmp_path, server, images(24))
    with mounted(bench.out, "size=2m") as out, bench.started("--create-rate", "20/s", "--no-download") as process:
        bench.await_creates(4)
        ballast = fill(out)
        said = process.communicate(timeout=30)[1]
        assert process.returncode == STORAGE, said
        assert "Traceback" not in said
        creates = server.creates()
        assert creates < 24
        told = [job_id for job_id in server.ledger()["charges"] if job_id in said]
        assert len(told) >= creates - 1, said
        ballast.unlink()
        assert bench.run("--no-download").returncode == 0
        check(bench)
        check_nothing_left(bench)


def test_a_full_disk_and_no_one_to_tell(tmp_path, server):
    """With standard error a pipe that nobody reads, a journal that cannot be written still ends the run with 7."""
    bench = Bench(tmp_path, server, images(24))
    log = tmp_path / "run.log"
    reader, writer = os.pipe()
    os.close(reader)
    more = ("--create-rate", "20/s", "--no-download", "--log-file", str(log))
    with mounted(bench.out, "size=2m") as out, bench.started(*more, stderr=writer) as process:
        os.close(writer)
        bench.await_creates(4)
        ballast = fill(out)
        assert process.wait(30) == STORAGE
        assert "Traceback" not in log.read_text()
        ballast.unlink()
        assert bench.run("--no-download").returncode == 0
        check(bench)
