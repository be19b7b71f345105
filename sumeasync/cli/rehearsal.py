"""What the demo does: a simulated API, a manifest with files of its own, a run, and a table of what came out."""

from __future__ import annotations

import json
import sys
from itertools import count as numbers
from pathlib import Path

from sumeasync.cli.batch import Logging, Show, Stage, run_loop
from sumeasync.cli.manifest import Manifest, read_manifest
from sumeasync.cli.wording import bytes_text, quoted, table
from sumeasync.core import redact
from sumeasync.core.polling.policy import DEFAULT_POLICIES
from sumeasync.core.report import EXIT_CODES
from sumeasync.core.settings import Settings
from sumeasync.engine import Engine
from sumeasync.errors import StorageError
from sumeasync.io.sink import RESULTS
from sumeasync.models import JSON, KINDS
from sumeasync.simulator import World, sample, serve

__all__ = ["rehearse"]

KEY = "sume_live_simulated"
SEED = 7
IMAGES, VIDEOS, ADS, ANALYSES, INGESTS = 8, 5, 2, 2, 4
SHORTEST_INTERVAL = 0.15
"""Seconds; what the real policies come to when time runs faster is no shorter than this."""


def rehearse(out: Path, *, speed: float, quiet: bool, verbose: int) -> int:
    """Run the demo into `out`, or a numbered neighbour of it; returns the exit code.

    Raises StorageError when the directory cannot be made.
    """
    folder = fresh_folder(out)
    world = World(seed=SEED)
    adopted = world.preload(2, type="video_generation")
    adopted[1].fate = "failed"
    manifest = write_manifest(folder, [job.id for job in adopted])
    stage = Stage(Show(quiet=quiet), out=str(folder), command="sumeasync demo")
    if not quiet:
        stage.voice.say(f"{len(manifest.specs)} specs against a simulated API, {speed:g} times as fast as the real one")

    async def main() -> int:
        async with serve(world, speed=speed) as base_url:
            engine = Engine(out=folder, api_key=KEY, base_url=base_url, settings=sped_up(speed))
            return await stage.perform(engine, manifest)

    with Logging(verbose=verbose).configure(stage.voice), stage.interrupts.watched():
        code = run_loop(main())
    if not quiet:
        sys.stdout.write("\n".join(harvest(folder)) + "\n")
    return 0 if code == EXIT_CODES["some_failed"] else code  # one job fails on purpose


def fresh_folder(out: Path) -> Path:
    """`out`, or the first numbered neighbour that is new or empty: the ids of another world mean nothing here."""
    for number in numbers(1):
        folder = out if number == 1 else out.with_name(f"{out.name}-{number}")
        try:
            folder.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            if not folder.is_dir() or any(folder.iterdir()):
                continue
        except OSError as problem:
            raise StorageError(f"cannot make the directory: {problem.strerror}", hint="choose another --out") from None
        return folder
    raise AssertionError  # numbers do not end


def write_manifest(folder: Path, adopted: list[str]) -> Manifest:
    """Small real files and a manifest that names them, both left in the folder."""
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    for number in range(1, INGESTS + 1):
        (inputs / f"clip-{number}.mp4").write_bytes(sample("mp4", f"clip-{number}", size=number * 20_000).read())
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries(adopted)), encoding="utf-8")
    return read_manifest(str(path))


def entries(adopted: list[str]) -> list[dict[str, JSON]]:
    """The lines of the manifest: every kind of job, a face swap of two avatars, and jobs that run already."""

    def line(key: str, type: str, **input: JSON) -> dict[str, JSON]:
        return {"key": key, "type": type, "input": input}

    lines = [line(f"hero-{n}", "image_generation", prompt=f"a red kite, view {n}") for n in range(1, IMAGES + 1)]
    lines += [
        line(f"scene-{n}", "video_generation", prompt=f"the kite rises, take {n}", duration=4)
        for n in range(1, VIDEOS + 1)
    ]
    lines += [line(f"ad-{n}", "ads_video", script=f"Fly higher, version {n}") for n in range(1, ADS + 1)]
    video = "https://media.example/kite.mp4"
    lines.append(line("swap", "face_swap", source_video_url=video, avatar_ids=["avatar_ann", "avatar_bob"]))
    lines += [
        line(f"reel-{n}", "reference_analysis", url=f"https://www.tiktok.com/@kites/video/{n}")
        for n in range(1, ANALYSES + 1)
    ]
    for n in range(1, INGESTS + 1):
        lines.append(line(f"clip-{n}", "asset_ingest", title=f"clip {n}") | {"file": f"inputs/clip-{n}.mp4"})
    return lines + [{"key": f"adopted-{n}", "job_id": job_id} for n, job_id in enumerate(adopted, 1)]


def sped_up(speed: float) -> Settings:
    """The usual polling, as many times faster as the world is."""
    poll: dict[str, dict[str, float | None]] = {}
    for kind in (*KINDS, "*"):
        usual = DEFAULT_POLICIES[kind]
        poll[kind] = {
            "first_delay": usual.first_delay / speed,
            "interval": max(SHORTEST_INTERVAL, usual.interval / speed),
            "cap": max(SHORTEST_INTERVAL, usual.cap / speed),
        }
    return Settings(poll=poll)


def harvest(folder: Path) -> list[str]:
    """A table of what came out, and where to look."""
    rows = []
    for line in (folder / RESULTS).read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        files = result["files"]
        rows.append(
            (
                redact.escape(result["key"]),
                result["type"] or result.get("server_type") or "",
                result["status"],
                str(result["polls"]),
                bytes_text(sum(file["bytes"] for file in files)) if files else "",
                ", ".join(file["path"] for file in files) or (result["error"] or {}).get("code", ""),
            )
        )
    lines = table(("key", "type", "status", "polls", "size", "file"), sorted(rows))
    shown = quoted(str(folder))
    return [
        "",
        *lines,
        "",
        f"Look at {shown}/results.jsonl, {shown}/media, {shown}/report.json; then: sumeasync status {shown}",
    ]
