"""Signals: the first one drains, the second one leaves at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sumeasync.cli.exits import interrupted

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupts:
    """What SIGINT, SIGTERM and SIGHUP do while `watched`. `signum` is the first one that came, if any.

    The handlers are Python's own, not the loop's: they run even while the loop waits for a blocked write, and that
    is when somebody presses Ctrl-C twice.
    """

    def __init__(self, *, hidden_cursor: bool) -> None:
        self.signum: int | None = None
        self._hidden_cursor = hidden_cursor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._action: Callable[[], object] | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals over, except those that whoever started us chose to ignore (``nohup``, ``&``)."""
        mine = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
        before = {signum: signal.signal(signum, self._receive) for signum in mine}
        try:
            yield
        finally:
            for signum, previous in before.items():
                signal.signal(signum, previous)

    def attach(self, action: Callable[[], object]) -> None:
        """Call `action` in the running loop on the first signal; at once when it came already."""
        self._loop, self._action = asyncio.get_running_loop(), action
        if self.signum is not None:
            action()

    @property
    def exit_code(self) -> int | None:
        """The exit code that the signal asks for, if one came."""
        return None if self.signum is None else interrupted(self.signum)

    def _receive(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            if self._hidden_cursor:
                with suppress(OSError):
                    os.write(2, SHOW_CURSOR)
            os._exit(interrupted(self.signum))
        self.signum = signum
        if self._loop is not None and self._action is not None:
            with suppress(RuntimeError):  # the loop is closed: we are leaving anyway
                self._loop.call_soon_threadsafe(self._action)
