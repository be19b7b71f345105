"""What a crash leaves of a disk in memory: of each file's data, and of the changes of names."""

from __future__ import annotations

from random import Random
from typing import Literal, TypeAlias

from sumeasync.testing.memoryfile import Node

__all__ = ["Keep", "apply", "remains", "survivors"]

PAGE_BYTES = 4096

Keep: TypeAlias = Literal["nothing", "prefix", "subset", "everything"]
"""What a crash leaves of what was not synced: of data a prefix or some pages (the others before the end are zeros),
of changes of names a prefix or some; ``everything`` is what a killed process leaves on a machine that lives on."""


def apply(change: dict[str, Node | None], files: dict[str, Node]) -> None:
    """Carry out a change of names."""
    for path, node in change.items():
        if node is None:
            files.pop(path, None)
        else:
            files[path] = node


def survivors(changes: list[dict[str, Node | None]], rng: Random | None, keep: Keep) -> list[dict[str, Node | None]]:
    """The changes of names that outlive a crash, in their order."""
    if rng is None or keep == "nothing":
        return []
    if keep == "subset":
        return [change for change in changes if rng.random() < 0.5]
    return changes[: len(changes) if keep == "everything" else rng.randint(0, len(changes))]


def remains(node: Node, rng: Random | None, keep: Keep) -> bytes:
    """The data of a file that outlives a crash."""
    data, synced = node.data, node.synced
    if rng is None or keep == "nothing" or synced == len(data):
        return bytes(data[:synced])
    if keep == "everything":
        return bytes(data)
    left = data[: rng.randint(synced, len(data))]
    if keep == "subset":
        for start in range(synced - synced % PAGE_BYTES, len(left), PAGE_BYTES):
            if rng.random() < 0.5:
                first, end = max(start, synced), min(start + PAGE_BYTES, len(left))
                left[first:end] = bytes(end - first)
    return bytes(left)
