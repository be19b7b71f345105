"""``sumeasync simulate``: serve the simulator, to rehearse on for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sumeasync.simulator import Rule, World

__all__ = ["load_faults", "simulate"]

LOCALHOST = "127.0.0.1"


def simulate(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = LOCALHOST,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    speed: Annotated[float, typer.Option("--speed", min=0.01, help="Simulated seconds in a real one.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Decides every id, duration and failure.")] = 0,
    faults: Annotated[
        str, typer.Option("--faults", metavar="PROFILE|FILE", help="none, flaky, hostile, or a JSON file of rules.")
    ] = "none",
    limit_reads: Annotated[int | None, typer.Option("--limit-reads", min=1, help="Reads allowed a minute.")] = None,
    limit_creates: Annotated[
        int | None, typer.Option("--limit-creates", min=1, help="Creates allowed a minute.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", min=1, help="Jobs that run at once.")] = None,
    credits: Annotated[int, typer.Option("--credits", min=0, help="Credits of the workspace.")] = 1_000_000,
    failure_rate: Annotated[float, typer.Option("--failure-rate", min=0, max=1, help="Share of jobs that fail.")] = 0.0,
) -> None:
    """Serve a simulated API until Ctrl-C. Any API key is accepted."""
    import asyncio

    import msgspec

    from sumeasync.simulator import Limits, World, WorldSettings
    from sumeasync.simulator.settings import DEFAULT_TYPES

    types = {name: msgspec.structs.replace(kind, failure_rate=failure_rate) for name, kind in DEFAULT_TYPES.items()}
    settings = WorldSettings(
        types=types,
        limits=Limits(reads_per_minute=limit_reads, creates_per_minute=limit_creates),
        concurrency=concurrency,
        credits=credits,
    )
    world = World(settings, seed=seed, rules=load_faults(faults))
    try:
        asyncio.run(serve_until_stopped(world, host, port, speed))
    except KeyboardInterrupt:
        typer.echo(account(world), err=True)


def load_faults(name: str) -> tuple[Rule, ...]:
    """The rules of a profile, or of a file. Raises SettingsError for rules that make no sense, or UsageError."""
    from sumeasync.errors import UsageError
    from sumeasync.simulator import PROFILES, load_rules, profile

    if name in PROFILES:
        return profile(name)
    try:
        return load_rules(Path(name).read_bytes())
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not a usable name"
        text = f"the faults {name!r} are none of the profiles ({', '.join(PROFILES)}) and no file to read: {reason}"
        raise UsageError(text) from None


async def serve_until_stopped(world: World, host: str, port: int, speed: float) -> None:
    """Serve, say where, and never return. Raises UsageError when the address cannot be had."""
    import asyncio

    from sumeasync.errors import UsageError
    from sumeasync.simulator import serve

    try:
        async with serve(world, host, port, speed=speed) as base_url:
            typer.echo(base_url)
            typer.echo(
                f"In another terminal:\n"
                f"  export SUME_API_BASE_URL={base_url} SUME_API_KEY=sume_live_simulated\n"
                f"  sumeasync run MANIFEST --out outputs\n"
                f"With --dialect open the base URL is {base_url.replace('/api/v1', '/v1')}. Ctrl-C stops it.",
                err=True,
            )
            await asyncio.Event().wait()
    except OSError as problem:
        raise UsageError(f"cannot listen on {host} port {port}: {problem.strerror or 'no such address'}") from None


def account(world: World) -> str:
    """What the simulator saw, in one line."""
    from sumeasync.cli.wording import count

    ledger = world.ledger
    created, charged = len(ledger.charges), sum(ledger.charges.values())
    requests = sum(ledger.requests.values())
    return f"\nserved {count(requests, 'request')}; {count(created, 'job')} created for {count(charged, 'credit')}"
