"""Named points at which a machine can stop, seen from outside the engine: on its disk and on its wire.

```python
rig = KillRig(settings, seed=7)
kill = Kill(POINTS["intent-synced"], nth=3, rng=Random(7))
if await rig.run_until(kill, specs):    # the third time it gets there, the machine stops
    outcomes = await rig.run(specs)     # a new engine, on what the old one's disk kept
```

The engine knows nothing of this: a point is a condition on an operation of the disk, or on bytes of a connection.
`POINTS` names those between which the state of a paid job differs, in the order a job meets them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from random import Random
from typing import Literal, TypeAlias

import msgspec

from sumeasync.dialects.so import CREATES
from sumeasync.errors import StorageError
from sumeasync.io.replay import JOURNAL
from sumeasync.io.sink import RESULTS
from sumeasync.testing.disk import MemoryDisk
from sumeasync.testing.memoryfile import Operation
from sumeasync.testing.remains import Keep
from sumeasync.testing.wire import Message, Stage

__all__ = ["CREATE", "POINTS", "DiskPoint", "Kill", "KillPoint", "WirePoint"]

CREATE = "|".join(rf"POST \S+{re.escape(path)}" for path in CREATES.values())
"""Every request that may cost something, as "METHOD /path"."""
PART = r"media/.+\.part"
KEEPS: tuple[Keep, ...] = ("nothing", "prefix", "subset", "everything")
SOON_SECONDS = 1e-6
"""Long enough for the engine to have taken in what has arrived, and for nothing else."""


class DiskPoint(msgspec.Struct, frozen=True):
    """Before or after an `operation` on a path, or `part` of the way through a write.

    Args:
        path: a regular expression for the whole path.
        holds: what is about to be written, or to become durable, contains this.
        part: the share of the write that is done; at least one byte of it is.
        keep: what must survive for the point to make sense; None: chance decides.
    """

    operation: Operation
    path: str
    holds: bytes = b""
    moment: Literal["before", "during", "after"] = "before"
    part: float = 0.0
    keep: Keep | None = None


class WirePoint(msgspec.Struct, frozen=True):
    """A `Stage` of a request.

    Args:
        asked: a regular expression for "METHOD /path".
        shows: a regular expression for what the whole answer must contain.
        part: of the answer's body, which is never read further.
        within: the machine stops so many seconds later, at most.
    """

    stage: Stage
    asked: str
    shows: bytes = b""
    part: float | None = None
    within: float = 0.0


KillPoint: TypeAlias = DiskPoint | WirePoint


def record(tag: str, operation: Operation, moment: Literal["before", "during", "after"] = "before") -> DiskPoint:
    """Where the journal's line of a record stands."""
    return DiskPoint(operation, re.escape(JOURNAL), b'"t":"%b"' % tag.encode(), moment)


POINTS: dict[str, KillPoint] = {
    "before-intent": record("intent", "write"),
    "intent-written": record("intent", "sync"),
    "intent-synced": record("intent", "sync", "after"),
    "headers-sent": WirePoint("head", CREATE),
    "body-sent": WirePoint("sent", CREATE),
    "accepted": WirePoint("answered", CREATE),
    "answer-read": WirePoint("received", CREATE),
    "created-written": record("created", "sync"),
    "created-synced": record("created", "sync", "after"),
    "between-polls": WirePoint(
        "received", r"GET \S+/jobs\b.*", rb'"(queued|running|job_not_completed|not_found)"', within=1.0
    ),
    "terminal-seen": record("ended", "write"),
    "result-fetched": WirePoint("received", r"GET \S+/result", rb'"completed"'),
    "part-created": DiskPoint("create", PART, moment="after"),
    "first-byte": DiskPoint("write", PART, moment="during"),
    "mid-body": WirePoint("received", r"GET /media/.*", part=0.5, within=SOON_SECONDS),
    "last-byte": DiskPoint("sync", PART),
    "file-synced": DiskPoint("sync", PART, moment="after"),
    "renamed": DiskPoint("sync folder", "media/.+"),
    "folder-synced": DiskPoint("sync folder", "media/.+", moment="after"),
    "saved-record": record("saved", "sync"),
    "half-result": DiskPoint("write", re.escape(RESULTS), holds=b"{", moment="during", part=0.5, keep="everything"),
    "result-written": DiskPoint("sync", re.escape(RESULTS), b"{"),
    "delivered-record": record("delivered", "sync"),
    "report": DiskPoint("rename", r"report\.json\.new"),
}


class Kill:
    """One stop of one machine: at the `nth` time that `point` is reached; `stop` is called then, once.

    `rng` decides what survives (`keep`), and whether what is on its way to the server still arrives (`lose`).
    `found` is the disk as it is found afterwards, None until then. `disk` and `stop` are set by whose machine it is.
    """

    disk: MemoryDisk
    stop: Callable[[], object]

    def __init__(self, point: KillPoint, nth: int, rng: Random) -> None:
        self.point = point
        self.left = nth
        self.rng = rng
        self.keep = rng.choice(KEEPS)
        if isinstance(point, DiskPoint) and point.keep is not None:
            self.keep = point.keep
        self.lose = rng.random() < 0.5
        self.found: MemoryDisk | None = None

    def __repr__(self) -> str:
        return f"<Kill {self.point}, {self.left} to go, keeps {self.keep}>"

    def fire(self) -> None:
        """The machine stops now."""
        if self.found is None:
            self.found = self.disk.crash(self.rng, self.keep)
            self.stop()

    def operation(self, operation: Operation, path: str) -> None:
        """The disk is about to do this. Raises StorageError once the machine has stopped."""
        point = self.point
        if self.found is None and isinstance(point, DiskPoint) and operation == point.operation != "write":
            held = self.disk.unsynced(path) if operation == "sync" else b""
            if self.matches(point, path, held):
                if point.moment == "before":
                    self.fire()
                else:
                    # It takes effect in this turn of the loop; whoever waits for it is told in a later one.
                    asyncio.get_running_loop().call_soon(self.fire)
        self.refuse()

    def write(self, path: str, data: bytes) -> None:
        """The disk is about to append `data`. Raises StorageError once the machine has stopped."""
        point = self.point
        meant = point if self.found is None and isinstance(point, DiskPoint) and point.operation == "write" else None
        if meant is not None and self.matches(meant, path, data):
            if meant.moment == "during":
                self.disk.land(path, data[: max(1, int(len(data) * meant.part))])
            self.fire()
        self.refuse()

    def message(self, stage: Stage, asked: str, message: Message) -> int | None:
        """A request has come to `stage`; returns how much of the message passes, None for all."""
        point = self.point
        if self.found is not None or not isinstance(point, WirePoint) or stage != point.stage:
            return None
        if not re.fullmatch(point.asked, asked) or (stage == "received" and not self.shown(point, message)):
            return None
        if not self.counted():
            return None
        loop = asyncio.get_running_loop()
        if point.within:
            loop.call_later(self.rng.uniform(0.1, 1.0) * point.within, self.fire)
        else:
            loop.call_soon(self.fire)
        if stage == "head":
            return message.head_bytes
        return None if point.part is None else message.head_bytes + max(1, int(message.body_bytes * point.part))

    def matches(self, point: DiskPoint, path: str, data: bytes) -> bool:
        """Whether this is the place, and the time."""
        return bool(re.fullmatch(point.path, path)) and point.holds in data and self.counted()

    def shown(self, point: WirePoint, answer: Message) -> bool:
        """Whether an answer has come far enough and says what it must."""
        if point.part is not None:
            goal = answer.body_bytes * point.part
            return answer.status in (200, 206) and 0 < goal <= answer.body_seen < goal + answer.fresh
        return answer.whole and re.search(point.shows, answer.data) is not None

    def counted(self) -> bool:
        """Count one more; whether it was the one."""
        self.left -= 1
        return self.left == 0

    def refuse(self) -> None:
        """Raise StorageError once the machine has stopped."""
        if self.found is not None:
            raise StorageError("the machine has stopped")
