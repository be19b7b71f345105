"""How fast media come to disk: the engine's downloader beside curl, many files at once from one server.

    python benchmarks/media.py [--rounds 3] [--json] [--smoke]

Caveats first. Client and server are on this machine, over loopback TCP without TLS, and share its cores; the disk is
the one of this checkout, the files come from the page cache. The downloader hashes each file (SHA-256), looks at its
kind, keeps notes to resume from, syncs it, and renames it; `curl --parallel` only writes it. So there is a third row:
curl, then `sha256sum` over all files, then `sync` on each. All three have the same number of transfers open at once.
Contenders take turns and start with an empty directory; MB are 10^6 bytes; CPU is user + system of the contender
without the server, memory the peak of the downloader's process; wall time and CPU of curl include the start of its
process, those of the downloader not the import.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from _alone import Contender, Figures, alone, main, peak_mib, serving

MIB = 1 << 20
FLEETS = {"200 x 1 MiB": (200, MIB), "8 x 64 MiB": (8, 64 * MIB)}
SMOKE = {"4 x 64 KiB": (4, MIB // 16)}
TRANSFERS = 8
MP4 = bytes.fromhex("0000001866747970") + b"mp42\x00\x00\x00\x00mp42isom"


async def serve(folder: str) -> Figures:
    """Serve the one file of `folder` under any name, with sendfile."""
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.FileResponse(Path(folder, "file"), headers={"Content-Type": "video/mp4"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
    return {}


async def downloader(base: str, folder: str, files: int) -> Figures:
    """The engine's own."""
    from sumeasync.io.guard import Guard, guarded_session
    from sumeasync.io.local import LocalDisk
    from sumeasync.io.media import Downloader
    from sumeasync.io.transfer import Allowance, Limits

    numbers, guard, allowance = iter(range(files)), Guard(base), Allowance(1 << 40, files)
    async with guarded_session(guard, limit=TRANSFERS) as session:
        saving = Downloader(session, guard, LocalDisk(folder), Limits())

        async def worker() -> None:
            for number in numbers:
                await saving.save(f"{base}/{number}.mp4", stem=f"media/{number}", allowance=allowance)

        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(TRANSFERS)))
        return {
            "seconds": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak_mib": peak_mib(),
        }


async def curl(base: str, folder: str, files: int, whole: bool) -> Figures:
    """curl, and with `whole` what the downloader does beside."""
    names = [f"{folder}/{number}.mp4" for number in range(files)]
    pairs = "".join(f'url = "{base}/{number}.mp4"\noutput = "{name}"\n' for number, name in enumerate(names))
    commands = [["curl", "--silent", "--fail", "--parallel", "--parallel-max", str(TRANSFERS), "--config", "-"]]
    if whole:
        commands += [["sha256sum", *names], ["sync", *names]]
    wall = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, input=pairs, capture_output=True, text=True)  # noqa: ASYNC221 - it is alone
    seconds, used = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime}


def one_round(base: str, rows: dict[str, Figures], parent: str, files: int) -> dict[str, Figures]:
    """Every contender once, each into a directory of its own that is gone afterwards."""
    found = {}
    for row, options in rows.items():
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            found[row] = alone(base=base, folder=folder, files=files, **options)
            saved = list(Path(folder).rglob("*.mp4"))
            if len(saved) != files:
                raise SystemExit(f"{row} saved {len(saved)} of {files} files")
    return found


def measure(arguments: argparse.Namespace) -> Figures:
    """Each fleet of files: a server of its own, and rounds of all contenders."""
    rows: dict[str, Figures] = {"downloader": {"contender": "downloader"}}
    if shutil.which("curl"):
        rows["curl"] = {"contender": "curl", "whole": False}
        rows["curl_sha256sum_sync"] = {"contender": "curl", "whole": True}
    figures: Figures = {} if shutil.which("curl") else {"curl": "not installed"}
    fleets = SMOKE if arguments.smoke else FLEETS
    for fleet, (files, size) in fleets.items():
        with tempfile.TemporaryDirectory(prefix=".media-", dir=Path(__file__).parent) as parent:
            Path(parent, "file").write_bytes(MP4 + os.urandom(size - len(MP4)))
            with serving("serve", folder=parent) as base:
                rounds = [one_round(base, rows, parent, files) for _ in range(arguments.rounds)]
        for row in rows:
            figures[f"{fleet}, {row}, MB/s"] = round(median(files * size / 1e6 / one[row]["seconds"] for one in rounds))
            cpu = median(1e3 * one[row]["cpu"] / (files * size / 1e6) for one in rounds)
            figures[f"{fleet}, {row}, CPU ms/MB"] = round(cpu, 2)
        figures[f"{fleet}, downloader, peak MiB"] = max(one["downloader"]["peak_mib"] for one in rounds)
        for row in list(rows)[1:]:
            ratios = [one[row]["seconds"] / one["downloader"]["seconds"] for one in rounds]
            figures[f"{fleet}, speed of downloader / {row}"] = round(median(ratios), 2)
    return figures


CONTENDERS: dict[str, Contender] = {"serve": serve, "downloader": downloader, "curl": curl}

if __name__ == "__main__":
    main(__doc__, CONTENDERS, measure, rounds=(3, 1))
