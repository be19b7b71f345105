"""What durability costs: µs a journal record by how many go together, and how long a journal takes to read back.

    python benchmarks/journal.py [--records 1000000] [--seconds 2] [--json] [--smoke]

Caveats first. A sync is as dear as the disk below and what else it is doing: wall times are this machine's and vary;
CPU (user + system, threads included) varies less. The journal writes on the file system of this checkout and, where
there is one, on a RAM disk, whose sync costs nothing: there only the code is left. So many records are appended one by
one, then the last one's future is awaited, and again, for some seconds: the worst case, as nothing is done meanwhile.
The naive loop opens the file, appends one line of the same length, syncs and closes, without checksum, order or a
thread. The journal read back has four records a job (created, ended, saved, delivered); peak memory is that of the
whole process that reads it, imports included, with everything a run keeps of it; CPU there is nearly the wall time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from _alone import Contender, Figures, alone, main, peak_mib

if TYPE_CHECKING:
    from sumeasync.core.records import Record

BATCHES = (1, 10, 100, 1000)
RAM_DISK = Path("/dev/shm")  # noqa: S108 - where Linux has it


def records() -> Iterator[Record]:
    """What a run of video jobs records, without end."""
    from sumeasync.core.records import Created, Delivered, Ended, Saved
    from sumeasync.models import Media

    for number in count():
        key, job_id, at = f"spec-{number:07}", f"job_{number:024x}", 1.8e9 + number
        file = Media(f"media/{key}/{job_id}.mp4", 4_000_000 + number, f"{number:064x}", "video/mp4")
        yield Created(key, (job_id,), at, "video_generation", f"{number:064x}")
        yield Ended(key, job_id, "completed", at + 90, "video_generation", None, at, at + 5, at + 88, 89.5, 12)
        yield Saved(key, job_id, at + 95, (file,))
        yield Delivered(key, at + 95, "completed", job_id)


async def grouped(folder: str, batch: int, seconds: float) -> Figures:
    """The journal, `batch` records at a time."""
    from sumeasync.io.journal import Journal
    from sumeasync.io.local import LocalDisk

    journal = await Journal.open(LocalDisk(folder))
    supply = list(islice(records(), max(4000, batch)))
    done, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        start = done % (len(supply) - batch + 1)
        for record in supply[start : start + batch]:
            durable = journal.append(record)
        await durable
        done += batch
    figures = {"cpu_us": time.process_time() - cpu, "wall_us": time.perf_counter() - wall}
    await journal.aclose()
    return {name: 1e6 * value / done for name, value in figures.items()}


async def naive(folder: str, seconds: float) -> Figures:
    """Open, append a line, sync, close."""
    line, path = b"x" * 223 + b"\n", Path(folder, "naive.log")
    done, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        with path.open("ab") as file:  # noqa: ASYNC230 - blocking is what it is about
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        done += 1
    return {"cpu_us": 1e6 * (time.process_time() - cpu) / done, "wall_us": 1e6 * (time.perf_counter() - wall) / done}


async def write(folder: str, amount: int) -> Figures:
    """Make a journal to read."""
    from sumeasync.io.framing import Encoder

    encoder = Encoder()
    with Path(folder, "journal.log").open("wb") as file:  # noqa: ASYNC230 - nothing else goes on
        file.write(encoder.header("0" * 16))
        file.writelines(encoder.line(record) for record in islice(records(), amount))
    return {}


async def read(folder: str) -> Figures:
    """Replay the journal of `folder`."""
    from sumeasync.io.local import LocalDisk
    from sumeasync.io.replay import replay

    began = time.perf_counter()
    found = await replay(LocalDisk(folder))
    return {"records": found.history.records, "seconds": time.perf_counter() - began, "peak_mib": peak_mib()}


def measure(arguments: argparse.Namespace) -> Figures:
    """Appending on each disk, then replaying journals of growing length."""
    figures: Figures = {}
    places = {"disk": Path(__file__).parent} | ({"ram": RAM_DISK} if os.access(RAM_DISK, os.W_OK) else {})
    seconds = arguments.seconds or 0.1
    for place, parent in places.items():
        with tempfile.TemporaryDirectory(prefix=".journal-", dir=parent) as folder:
            rows = {"naive": alone("naive", folder=folder, seconds=seconds)}
            for batch in BATCHES:
                path = f"{folder}/{batch}"
                rows[f"batch_{batch}"] = alone("grouped", folder=path, batch=batch, seconds=seconds)
        for row, cost in rows.items():
            figures |= {f"{place}_{row}_{name}": round(value, 1) for name, value in cost.items()}
    amounts = [amount for amount in (10_000, 100_000, 1_000_000) if amount < arguments.records]
    for amount in [*amounts, arguments.records]:
        with tempfile.TemporaryDirectory(prefix=".journal-", dir=places["disk"]) as folder:
            alone("write", folder=folder, amount=amount)
            found = alone("read", folder=folder)
        figures[f"replay_{amount}_seconds"] = round(found["seconds"], 2)
        figures[f"replay_{amount}_peak_mib"] = found["peak_mib"]
    return figures


CONTENDERS: dict[str, Contender] = {"grouped": grouped, "naive": naive, "write": write, "read": read}

if __name__ == "__main__":
    main(__doc__, CONTENDERS, measure, records=(1_000_000, 1000), seconds=(2, 0))
