"""``sumeasync plan``: rehearse a manifest before it costs anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sumeasync.cli import options
from sumeasync.cli.groups import Pace, grouped

__all__ = ["plan", "read_costs"]


@grouped
def plan(
    manifest: options.Manifest,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Learn from the run in DIR, and plan only what it left to do."),
    ] = None,
    form: options.Form = None,
    dialect: options.Dialect = None,
    pace: Pace,
    create_rate: options.CreateRate = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", metavar="N", min=1, help="Jobs the server runs at once.")
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option("--cost", metavar="TYPE=CREDITS", help="What a job costs; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides the durations that are drawn.")] = 0,
    json: options.Json = False,
) -> None:
    """Tell how long MANIFEST will take, and how many requests.

    The engine itself runs it in simulated time against a simulated API with the given limits. Nothing is sent, no key
    is needed, nothing is written.
    """
    import time

    import msgspec

    from sumeasync.cli.forecast import describe
    from sumeasync.cli.learned import read_learned
    from sumeasync.cli.manifest import read_manifest
    from sumeasync.cli.planning import Plan, foresee

    settings = pace.settings(dialect=dialect, create_rate=create_rate, download=False)
    costs = read_costs(cost or [])
    specs = read_manifest(manifest, form).specs
    learned = read_learned(out, settings.learn_from)
    if out is not None and not learned.journal:
        typer.echo(f"note: there is no run in {str(out)!r} yet; nothing is learned from it", err=True)
    forecast = foresee(Plan(specs, settings, learned, concurrency, costs, seed, time.time()))
    if json:
        typer.echo(msgspec.json.encode(forecast).decode())
        return
    for line in describe(forecast):
        typer.echo(line)


def read_costs(texts: list[str]) -> dict[str, float]:
    """Credits a job by type, from texts such as ``image_generation=2``. Raises UsageError."""
    import math

    from sumeasync.errors import UsageError

    costs = {}
    for text in texts:
        type, _, value = text.partition("=")
        try:
            credits = float(value)
        except ValueError:
            credits = -1.0
        if not (type and 0.0 <= credits < math.inf):
            raise UsageError(f"{text!r} is not TYPE=CREDITS, such as image_generation=2")
        costs[type] = credits
    return costs
