"""What the scripts share: contenders that run alone, each in a process of its own, and the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["SAME_HEAP", "Contender", "Figures", "alone", "main", "peak_mib", "serving"]

Figures = dict[str, Any]
Contender = Callable[..., Coroutine[Any, Any, Figures]]

SAME_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 24), "MALLOC_TRIM_THRESHOLD_": str(1 << 25)}
"""For the environment of contenders whose CPU is compared: glibc's allocator in one fixed state.

asyncio takes a buffer of 256 KiB for every piece it receives. By default glibc asks the system for each of them and
gives it back (three system calls and two page faults, some 11 µs), until a block as large was freed once, by an import
say; then it keeps them. Which contender has that luck is no merit of its code.
"""


def alone(contender: str, *, env: Mapping[str, str] | None = None, **options: Any) -> Figures:
    """Run one contender of the script in a process of its own."""
    command = [sys.executable, sys.argv[0], "--contender", contender, "--options", json.dumps(options)]
    env = {**os.environ, **(env or {})}
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    return dict(json.loads(found.stdout))


@contextmanager
def serving(contender: str, **options: Any) -> Iterator[str]:
    """Run one contender, a server that prints its port, for as long as the block lasts; yields its base URL."""
    command = [sys.executable, sys.argv[0], "--contender", contender, "--options", json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip() if server.stdout else ''}"
        finally:
            server.terminate()


def peak_mib() -> float:
    """The most memory this process has had. (`getrusage` counts what its parent had before the exec.)"""
    with suppress(OSError), open("/proc/self/status") as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20), 1)  # macOS: bytes


def main(
    doc: str | None,
    contenders: Mapping[str, Contender],
    measure: Callable[[argparse.Namespace], Figures],
    **sizes: tuple[int, int],
) -> None:
    """Read the command line, measure, print the figures; `sizes` are options, in earnest and for a smoke run."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (size, _) in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="small and quick: proves that it runs, measures nothing")
    parser.add_argument("--contender", choices=contenders, help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps(asyncio.run(contenders[arguments.contender](**arguments.options))))
        return
    if arguments.smoke:
        for name, (_, size) in sizes.items():
            setattr(arguments, name, size)
    figures = measure(arguments)
    width = max(map(len, figures))
    print(json.dumps(figures) if arguments.json else "\n".join(f"{k:{width}}  {v}" for k, v in figures.items()))
