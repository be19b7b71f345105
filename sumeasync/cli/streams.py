"""The two streams of a command: results on standard output, everything else on standard error.

Neither may end a batch: a reader that went away (``| head``), a full disk behind a redirection or a closed terminal
only means that nobody reads any more.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Results", "Voice"]


class Voice(io.TextIOBase):
    """Standard error, line by line; while a live display is up, lines go above it. Logs may be written to it."""

    def __init__(self) -> None:
        self.live: Console | None = None
        self.is_terminal = bool(sys.stderr and not sys.stderr.closed and sys.stderr.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read only here
        """What the logs must be able to spell."""
        return getattr(sys.stderr, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether colors make sense."""
        return self.is_terminal

    def write(self, text: str) -> int:
        """Write whole lines, as they are, whatever becomes of them."""
        try:
            if self.live is None:
                sys.stderr.write(text)
                sys.stderr.flush()
            else:
                from rich.text import Text

                self.live.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
        except (OSError, ValueError):
            silence(sys.stderr)
        return len(text)

    def say(self, line: str) -> None:
        """Write one line."""
        self.write(line + "\n")


class Results:
    """Standard output. A slow reader holds up the caller, never the loop."""

    def __init__(self) -> None:
        self.closed = False

    async def write(self, text: str) -> bool:
        """Write and flush; False, from the first failure on, when nobody reads any more."""
        if not self.closed:
            await asyncio.get_running_loop().run_in_executor(None, self._write, text)
        return not self.closed

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except (OSError, ValueError):
            self.closed = True
            silence(sys.stdout)


def silence(stream: TextIO) -> None:
    """Nobody reads this stream any more: what is left in its buffer must not fail again at exit (status 120)."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
