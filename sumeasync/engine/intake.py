"""The way in: specs from any source, as fast as there is room for them, and no faster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing

from sumeasync.engine.alarm import Alarm
from sumeasync.errors import StorageError
from sumeasync.models import JSON, Spec

__all__ = ["Entry", "Intake", "Specs"]

Entry = Spec | Mapping[str, JSON]
Specs = Iterable[Entry] | AsyncIterable[Entry]

SLICE = 64
"""Specs admitted between two looks at everything else."""


class Intake:
    """Reads `specs` and hands each to `admit` while `has_room`; ends early once `is_closed`.

    `done` tells that no more will come. What the source itself raised is kept in `error`; ring `room` when either
    answer may have changed.
    """

    def __init__(
        self,
        specs: Specs,
        admit: Callable[[Entry], None],
        *,
        has_room: Callable[[], bool],
        is_closed: Callable[[], bool],
    ) -> None:
        self.room = Alarm()
        self.done = False
        self.error: Exception | None = None
        self._admitting = False
        self._specs = specs
        self._admit = admit
        self._has_room = has_room
        self._is_closed = is_closed

    async def main(self) -> None:
        """Read to the end. Raises StorageError, and what `admit` raises."""
        try:
            await self._read()
        except StorageError:
            raise
        except Exception as error:
            if self._admitting:  # no error of the source
                raise
            self.error = error  # the caller's own: what was taken in is finished, then the reader is told
        finally:
            self.done = True

    async def _read(self) -> None:
        count = 0
        async with aclosing(_each(self._specs)) as entries:
            async for entry in entries:
                while not (self._has_room() or self._is_closed()):
                    await self.room.wait()
                if self._is_closed():
                    break
                self._admitting = True
                self._admit(entry)
                self._admitting = False
                count += 1
                if count % SLICE == 0:
                    await asyncio.sleep(0)


async def _each(specs: Specs) -> AsyncGenerator[Entry, None]:
    if isinstance(specs, AsyncIterable):
        async for spec in specs:
            yield spec
    else:
        for spec in specs:
            yield spec
