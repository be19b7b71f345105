"""A batch from a script that has no event loop of its own."""

from __future__ import annotations

import asyncio
import os

from sumeasync.core.settings import Settings
from sumeasync.engine import Engine
from sumeasync.engine.intake import Specs
from sumeasync.errors import SumeError, UsageError
from sumeasync.models import Outcome

__all__ = ["run"]


def run(
    specs: Specs,
    out: str | os.PathLike[str] | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    settings: Settings | None = None,
) -> list[Outcome]:
    """Run a batch to its end and return the outcomes in completion order; arguments as of `Engine`.

    With `out` a second call goes on where the first one stopped, and returns what it brought to an end itself.

    Raises:
        AuthError, CreditsError, StorageError: what ended the run early; a note on it says what became of the rest.
        UsageError: an event loop is running already: use `Engine` there.
        MissingKeyError, SettingsError, LockedError, JournalError: before anything is sent.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_run(specs, Engine(out=out, api_key=api_key, base_url=base_url, settings=settings), out))
    raise UsageError("an event loop is running already: use `async with sumeasync.Engine(…)` in it")


async def _run(specs: Specs, engine: Engine, out: object) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        async with engine:
            async for outcome in engine.run(specs):
                outcomes.append(outcome)
    except SumeError as error:
        kept = "not kept, as no output directory was given" if out is None else "in the output directory"
        error.add_note(f"{len(outcomes)} outcomes came before it; they are {kept}")
        raise
    return outcomes
