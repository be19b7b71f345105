"""How many connections and files may be open at once, where the system allows a process only so many.

A limit that is met in the middle of a transfer costs a try; so what is open at once is chosen to stay below it. The
journal and the results are open before anything else is, and stay so.
"""

from __future__ import annotations

import errno
import os
import resource

import msgspec

from sumeasync.core.settings import Settings
from sumeasync.errors import StorageError

__all__ = ["fit", "free_handles"]

RESERVE = 8
"""For what is open for a moment: folders on the way to a file, the report, the look-up of a name."""

TRANSFER = 3
"""A connection, the file, and the notes beside it."""

LEAST = 2 + TRANSFER
FOLDERS = ("/proc/self/fd", "/dev/fd")
TYPICAL = 32


def free_handles() -> int:
    """How many more files this process may open. Blocks for a moment."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    folder = next(filter(os.path.isdir, FOLDERS), None)
    return soft - (TYPICAL if folder is None else len(os.listdir(folder)))


def fit(settings: Settings, free: int) -> Settings:
    """The settings with `reads`, `creates` and `transfers` lowered, in proportion, to what `free` handles can bear.

    Raises:
        StorageError: they do not bear one of each.
    """
    room, wanted = free - RESERVE, settings.reads + settings.creates + TRANSFER * settings.transfers
    if room >= wanted:
        return settings
    if room < LEAST:
        text = f"a run needs {RESERVE + LEAST} more open files, and the system allows {max(0, free)}"
        error = StorageError(text, hint="allow more open files (ulimit -n), then run the same command again")
        error.errno = errno.EMFILE
        raise error
    share = (room - LEAST) / (wanted - LEAST)
    lowered = {name: 1 + int((getattr(settings, name) - 1) * share) for name in ("reads", "creates", "transfers")}
    return msgspec.structs.replace(settings, **lowered)
