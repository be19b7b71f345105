"""``sumeasync demo``: a whole batch against a simulator inside this process, for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sumeasync.cli import options

__all__ = ["demo"]

DEFAULT_OUT = Path("demo-output")


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where results go; numbered when it is taken.")
    ] = DEFAULT_OUT,
    speed: Annotated[float, typer.Option("--speed", min=1, max=1000, help="Simulated seconds in a real one.")] = 40.0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Run a small batch of every kind of job against a simulated API and leave its output to look at.

    Nothing leaves this machine, no key is needed and nothing is paid.
    """
    from sumeasync.cli.rehearsal import rehearse

    raise typer.Exit(rehearse(out, speed=speed, quiet=quiet, verbose=verbose))
