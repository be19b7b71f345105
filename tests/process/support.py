"""The command line as a process, a simulator beside it, and what must hold between the two."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sumeasync.dialects.so import CREATES
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, sample
from sumeasync.simulator.ledger import body_hash

COMMAND = [sys.executable, "-m", "sumeasync"]
SERVER = Path(__file__).with_name("server.py")
SECONDS = 60
BRISK = TypeSettings(Duration(0.5, 0.3), queue=Duration(0.1, 0.3), media="png")
BRISK_TYPES = {
    "image_generation": BRISK,
    "video_generation": msgspec.structs.replace(BRISK, media="mp4", media_bytes=200_000),
    "ads_video": msgspec.structs.replace(BRISK, media="mp4"),
    "face_swap": msgspec.structs.replace(BRISK, media="mp4"),
    "reference_analysis": msgspec.structs.replace(BRISK, media=None),
    "asset_ingest": msgspec.structs.replace(BRISK, media=None),
}
QUICK = "learn = false\n" + "".join(
    f"[poll.{kind}]\nfirst_delay = 0.2\ninterval = 0.15\ncap = 0.3\n" for kind in (*BRISK_TYPES, '"*"')
)
MEDIA_NAME = re.compile(r"media/[^/]+/(job_[0-9a-f]{16})\.(png|mp4)")
JSON = Any


def world(**changes: Any) -> WorldSettings:
    """A service whose jobs take half a second."""
    return WorldSettings(types=BRISK_TYPES, **changes)


class Server:
    """A simulator under way."""

    def __init__(self, settings: WorldSettings, base_url: str) -> None:
        self.settings = settings
        self.base_url = base_url

    def ledger(self) -> dict[str, JSON]:
        """What it saw and charged so far."""
        with urllib.request.urlopen(self.base_url.replace("/api/v1", "/_sim/ledger"), timeout=SECONDS) as answer:
            return json.load(answer)

    def creates(self) -> int:
        """The create requests that arrived so far."""
        return self.ledger()["times"]["create"]

    def requests(self) -> int:
        """The requests that arrived so far."""
        return sum(self.ledger()["requests"].values())


@contextmanager
def serving(settings: WorldSettings | None = None, rules: Sequence[JSON] = ()) -> Iterator[Server]:
    """A simulator in a process of its own, ended with the context."""
    settings = settings or world()
    arguments = [sys.executable, str(SERVER), msgspec.json.encode(settings).decode(), json.dumps(rules)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(settings, process.stdout.readline().strip())
        finally:
            process.kill()


@dataclass
class Bench:
    """One output directory, one manifest, one simulator."""

    folder: Path
    server: Server
    specs: list[dict[str, JSON]]
    out: Path | None = None

    def __post_init__(self) -> None:
        self.out = self.out or self.folder / "out"
        self.manifest = self.folder / "manifest.jsonl"
        self.manifest.write_text("".join(json.dumps(spec) + "\n" for spec in self.specs))
        self.config = self.folder / "quick.toml"
        if not self.config.exists():
            self.config.write_text(QUICK)

    def command(self, *more: str) -> list[str]:
        """The command line of a run."""
        run = ["run", str(self.manifest), "--out", str(self.out), "--config", str(self.config)]
        return [*COMMAND, *run, *more]

    def environment(self) -> dict[str, str]:
        """A clean environment for the command."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SUME", "COV_"))}
        return inherited | {"SUME_API_KEY": "sume_live_simulated", "SUME_API_BASE_URL": self.server.base_url}

    def run(self, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return self.shell(*self.command(*more), **options)

    def shell(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run any command to its end in the environment of the runs."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": SECONDS} | options
        return subprocess.run(command, check=False, text=True, env=self.environment(), **options)

    @contextmanager
    def started(self, *more: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A run under way; killed at the end of the context if it still is."""
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
        with subprocess.Popen(self.command(*more), text=True, env=self.environment(), **options) as process:
            try:
                yield process
            finally:
                process.kill()

    def killed_after(self, seconds: float, *more: str, at_work: bool = False) -> int | None:
        """Start a run and kill it so long after its start or first request (`at_work`); its exit code when it ended."""
        before = self.server.requests()
        with self.started(*more, stderr=subprocess.DEVNULL) as process:
            if at_work:
                await_that(lambda: process.poll() is not None or self.server.requests() > before)
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None

    def await_creates(self, count: int) -> None:
        """Return once so many creates have arrived at the server."""
        await_that(lambda: self.server.creates() >= count)

    def status(self) -> dict[str, JSON]:
        """What ``sumeasync status`` says; that it can say it shows that the journal is whole."""
        done = self.shell(*COMMAND, "status", str(self.out), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def lines(self) -> list[dict[str, JSON]]:
        """The result lines; every one must be whole."""
        path = self.out / "results.jsonl"
        data = path.read_bytes() if path.exists() else b""
        assert not data or data.endswith(b"\n"), "the last line is not whole"
        return [json.loads(line) for line in data.splitlines()]


def await_that(condition: Any) -> None:
    """Return once the condition holds; fail when it never does."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        pause(0.01)


def pause(seconds: float) -> None:
    """Let other processes go on for a while: they run on the real clock."""
    threading.Event().wait(seconds)


def jobs_of(spec: dict[str, JSON]) -> int:
    """How many jobs a spec makes."""
    return len(spec["input"]["avatar_ids"]) if spec["type"] == "face_swap" else 1


def images(count: int) -> list[dict[str, JSON]]:
    """Specs for images."""
    return [{"key": f"img-{n}", "type": "image_generation", "input": {"prompt": f"kite {n}"}} for n in range(count)]


def mixed(count: int, folder: Path) -> list[dict[str, JSON]]:
    """Specs of all six types in turn; a face swap makes two jobs, an ingest uploads a file."""
    (folder / "clip.mp4").write_bytes(sample("mp4", "clip", size=20_000).read())
    video = "https://media.example/kite.mp4"

    def spec(n: int) -> dict[str, JSON]:
        inputs: list[tuple[str, dict[str, JSON]]] = [
            ("image_generation", {"prompt": f"kite {n}"}),
            ("video_generation", {"prompt": f"the kite rises, take {n}", "duration": 4}),
            ("ads_video", {"script": f"fly higher, version {n}"}),
            ("face_swap", {"source_video_url": video, "avatar_ids": [f"ann-{n}", f"bob-{n}"]}),
            ("reference_analysis", {"url": f"https://www.tiktok.com/@kites/video/{n}"}),
            ("asset_ingest", {"title": f"clip {n}"}),
        ]
        kind, body = inputs[n % len(inputs)]
        entry = {"key": f"spec-{n}", "type": kind, "input": body}
        return entry | {"file": str(folder / "clip.mp4")} if kind == "asset_ingest" else entry

    return [spec(n) for n in range(count)]


def check(bench: Bench, *, unknown: Sequence[str] = (), charges: int = 1) -> None:
    """Nothing paid twice, nothing lost, every line once, every byte as it was sent; `unknown` are keys still open.

    `charges` is how often a create may have been paid: 1 unless one was sent again on purpose.
    """
    ledger, lines = bench.server.ledger(), bench.lines()
    expected = Counter({spec["key"]: jobs_of(spec) for spec in bench.specs if spec["key"] not in unknown})
    assert Counter(line["key"] for line in lines) == expected
    told = Counter(line["job_id"] for line in lines)
    assert set(told.values()) <= {1}
    assert set(told) <= set(ledger["charges"])
    check_charges(bench, ledger, charges)
    spare = sum(jobs_of(spec) for spec in bench.specs) * charges - sum(expected.values())
    assert len(ledger["charges"]) - len(told) <= spare, "a job was charged and is lost"
    check_media(bench, lines)


def check_charges(bench: Bench, ledger: dict[str, JSON], charges: int = 1) -> None:
    """No create was accepted more often than it may be, by body and by path."""
    paths = Counter(CREATES[spec["type"]] for spec in bench.specs)
    assert all(count <= paths[path] * charges for path, count in ledger["creates"].items()), ledger["creates"]
    for spec in bench.specs:
        accepted = ledger["accepted"].get(body_hash(CREATES[spec["type"]], spec["input"]), [])
        assert len(accepted) <= charges, (spec["key"], accepted)


def check_media(bench: Bench, lines: Sequence[dict[str, JSON]] = ()) -> None:
    """Every file under a final name is the simulator's to the byte, and every file that a line names is there."""
    sizes = {"png": 0, "mp4": 0}
    for path in (bench.out / "media").rglob("*"):
        if path.is_dir() or path.suffix == ".part" or path.name.endswith(".part.json"):
            continue
        name = MEDIA_NAME.fullmatch(path.relative_to(bench.out).as_posix())
        assert name is not None, path
        data = path.read_bytes()
        wanted = {media_hash(bench, name[1], name[2], kind) for kind in BRISK_TYPES}
        assert hashlib.sha256(data).hexdigest() in wanted, path
        sizes[name[2]] += 1
    for line in lines:
        for file in line["files"]:
            assert hashlib.sha256((bench.out / file["path"]).read_bytes()).hexdigest() == file["sha256"]
            assert file["sha256"] == media_hash(bench, line["job_id"], file["path"][-3:], line["type"])


def media_hash(bench: Bench, job_id: str, extension: str, kind: str) -> str:
    """The hash of what the simulator serves for a job."""
    return sample(extension, job_id, size=bench.server.settings.of(kind).media_bytes).sha256()


def check_nothing_left(bench: Bench) -> None:
    """Another run makes no request, and the status agrees that nothing is open."""
    before = bench.server.requests()
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert bench.server.requests() == before
    status = bench.status()
    assert not status["unfinished"]
    assert not status["unknown"]
    assert sum(status["outcomes"].values()) == len(bench.lines())


def interrupt(process: subprocess.Popen[str], signum: int = signal.SIGINT) -> str:
    """Send a signal, wait for the end, and return what was said."""
    process.send_signal(signum)
    return process.communicate(timeout=SECONDS)[1]
