"""The command as users get it: processes, pipes and signals, against the simulator on loopback sockets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from yarl import URL

from sumeasync.core.records import Created
from sumeasync.core.settings import Settings
from sumeasync.engine.folder import Folder
from sumeasync.io.journal import Journal
from sumeasync.io.local import LocalDisk
from sumeasync.io.origin import ApiKey

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "sumeasync"]
FAST = ["--poll", "image_generation.first_delay=0.1", "--poll", "image_generation.interval=0.1"]
SECONDS = 60


def environment(base_url):
    """A clean environment for the command, at this API."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SUME", "COV_"))}
    return inherited | {"SUME_API_KEY": "sume_live_simulated", "SUME_API_BASE_URL": base_url}


@contextmanager
def simulator(*flags):
    """A simulator in a process of its own; gives the base URL."""
    with subprocess.Popen(
        [*COMMAND, "simulate", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def base_url():
    """A simulator that is a hundred times as fast as the real thing."""
    with simulator("--speed", "100") as url:
        yield url


@pytest.fixture(scope="module")
def slow_base_url(tmp_path_factory):
    """A simulator whose jobs take their time, and whose third create is answered after half a minute."""
    rules = tmp_path_factory.mktemp("faults") / "rules.json"
    rules.write_text('[{"on": ["create"], "nth": 3, "do": {"kind": "delay", "seconds": 30}}]')
    with simulator("--faults", str(rules)) as url:
        yield url


@pytest.fixture
def manifest(tmp_path):
    """Three images."""
    lines = [
        json.dumps({"key": f"img-{n}", "type": "image_generation", "input": {"prompt": f"kite {n}"}}) for n in range(3)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def sumeasync(base_url, *args, **more):
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(base_url),
        **more,
    )


def test_a_run_saves_everything_and_a_second_one_does_nothing(base_url, manifest, tmp_path):
    """Exit code 0, a line and a file for each outcome; run again, it finds all of it done."""
    first = sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", *FAST)
    assert first.returncode == 0, first.stderr
    assert len(first.stdout.splitlines()) == 3
    assert len(list((tmp_path / "out" / "media").rglob("*.png"))) == 3
    again = sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", *FAST)
    assert (again.returncode, again.stdout) == (0, "")
    assert "3 specs finished earlier" in again.stderr


def test_json_is_what_the_results_hold(base_url, manifest, tmp_path):
    """--json prints the lines of results.jsonl, and nothing else, on standard output."""
    done = sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", "--json", *FAST)
    assert done.stdout == (tmp_path / "out" / "results.jsonl").read_text()


def test_quiet_says_nothing(base_url, manifest, tmp_path):
    """-q prints nothing when all is well."""
    done = sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", "-q", *FAST)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_logs_go_where_they_are_told(base_url, manifest, tmp_path):
    """A log file gets every step as JSON while standard error stays calm."""
    log = tmp_path / "run.log"
    done = sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", "--log-file", log, "-q", *FAST)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert done.stderr == ""
    assert events.count("job.completed") == 3


def test_a_reader_that_leaves_does_not_lose_the_batch(base_url, manifest, tmp_path):
    """After `| head -1` the run goes on to its end, without a traceback."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "run", manifest, "--out", tmp_path / "out", "--json", *FAST],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(base_url),
    ) as run:
        os.close(reader)
        os.close(writer)
        _, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, err
    assert "Traceback" not in err
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 3


@contextmanager
def under_way(base_url, manifest, out):
    """A run that has two running jobs, and waits for the answer to its third create."""
    with subprocess.Popen(
        [*COMMAND, "run", manifest, "--out", out, "-v"], stderr=subprocess.PIPE, text=True, env=environment(base_url)
    ) as run:
        seen = 0
        while seen < 2:
            seen += "job.created" in run.stderr.readline()
        yield run


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_drains_and_says_how_to_go_on(manifest, tmp_path, signum, code):
    """A signal ends the run in order: running ids are listed with the command that goes on."""
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    with simulator() as base_url, under_way(base_url, manifest, tmp_path / "out") as run:
        run.send_signal(signum)
        _, err = run.communicate(timeout=SECONDS)
    assert run.returncode == code
    assert "2 jobs still at the server:" in err
    assert "go on with: sumeasync run" in err


def test_a_second_signal_leaves_at_once(slow_base_url, manifest, tmp_path):
    """While the first one waits for a create, the second one ends the process, and the ids are safe on disk."""
    with under_way(slow_base_url, manifest, tmp_path / "out") as run:
        run.send_signal(signal.SIGINT)
        while "stopping" not in run.stderr.readline():
            pass
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=10)
    assert run.returncode == 130
    done = sumeasync(slow_base_url, "status", tmp_path / "out", "--json")
    assert len(json.loads(done.stdout)["unfinished"]) == 2


def test_a_job_can_be_watched_and_looked_at(base_url, manifest, tmp_path):
    """An id from the list is shown, watched without a directory, and its result printed; links stay hidden."""
    sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", "-q", *FAST)
    listed = sumeasync(base_url, "jobs", "list", "--status", "completed", "--limit", "1", "--json")
    job_id = json.loads(listed.stdout)["id"]
    assert "completed" in sumeasync(base_url, "jobs", "get", job_id).stdout
    shown = [sumeasync(base_url, "jobs", "result", job_id).stdout, sumeasync(base_url, "watch", job_id).stdout]
    assert all("<redacted url 127.0.0.1>" in text and "signature" not in text for text in shown)
    assert "signature=" in sumeasync(base_url, "jobs", "result", job_id, "--keep-links").stdout


async def begin_with_another_key(out, job_id, base_url):
    """Leave a directory in which a run with another key watched this job."""
    journal = await Journal.open(LocalDisk(out))
    await journal.append(Created(job_id, (job_id,), 1.0, adopted=True))
    await journal.aclose()
    folder = Folder(LocalDisk(out), URL(base_url).host, ApiKey("sume_live_other"))
    await folder.write_run(Settings(), None, 1.0)


@pytest.mark.parametrize("command", ["run", "watch"])
def test_open_work_of_another_key_is_not_touched(base_url, manifest, tmp_path, command):
    """A directory begun with another key is refused, exit code 2, unless the account is said to be the same."""
    sumeasync(base_url, "run", manifest, "--out", tmp_path / "first", "-q", *FAST)
    listed = sumeasync(base_url, "jobs", "list", "--status", "completed", "--limit", "1", "--json")
    job_id, out = json.loads(listed.stdout)["id"], tmp_path / "out"
    manifest.write_text(json.dumps({"job_id": job_id}))
    asyncio.run(begin_with_another_key(out, job_id, base_url))
    arguments = (base_url, command, manifest if command == "run" else job_id, "--out", out)
    refused = sumeasync(*arguments)
    assert (refused.returncode, "unfinished work of another API key" in refused.stderr) == (2, True)
    assert "--same-account" in refused.stderr
    assert sumeasync(*arguments, "--same-account").returncode == 0


def test_all_jobs_can_be_listed(base_url, manifest, tmp_path):
    """--all walks the pages; a header stands above the lines."""
    sumeasync(base_url, "run", manifest, "--out", tmp_path / "out", "-q", *FAST)
    lines = sumeasync(base_url, "jobs", "list", "--all").stdout.splitlines()
    assert lines[0].split() == ["id", "type", "status", "created"]
    assert len(lines) >= 4


def test_an_id_nobody_knows_is_one_clear_error(base_url):
    """An unknown id gives exit code 1, the error, its request id and a hint."""
    done = sumeasync(base_url, "jobs", "get", "job_none")
    assert done.returncode == 1
    assert re.fullmatch(r"error: .+\nrequest id: req_\w+\nhint: .+\n", done.stderr)


def test_what_a_simulator_served_is_told_at_its_end():
    """Ctrl-C ends the simulator in order, with an account."""
    with subprocess.Popen([*COMMAND, "simulate"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        server.stdout.readline()
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    assert "served 0 requests; 0 jobs created for 0 credits" in err


def test_the_demo_shows_every_kind_and_can_be_repeated(tmp_path):
    """The demo needs no key, ends with a table of 25 outcomes, and takes a fresh directory the second time."""
    for name in ("demo", "demo-2"):
        done = sumeasync("", "demo", "--out", tmp_path / "demo", "--speed", "400")
        assert done.returncode == 0, done.stderr
        results = (tmp_path / name / "results.jsonl").read_text().splitlines()
        assert len(results) == 25
    kinds = {json.loads(line)["type"] for line in results}
    assert len(kinds) == 6
    assert sum(json.loads(line)["status"] == "failed" for line in results) == 1
