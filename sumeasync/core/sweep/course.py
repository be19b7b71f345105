"""The course of a walk through a list: where jobs stood when it was last read, and what that is good for now.

Lists mostly keep their order. Then a job that stood between two that are shown now, and is not shown, has left; it need
not wait for the end of the walk to be missed. And pages whose jobs are not worth a request yet can be left out, by
going on at the cursor that led to a later one, if the server takes an old cursor. Neither is taken for granted: once
a page shows jobs in another order than before, the rest of the walk is read from page to page, as at first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence, Set
from itertools import accumulate

import msgspec

__all__ = ["Course", "Mark"]


class Mark(msgspec.Struct, frozen=True):
    """A page as it was last read: the cursor that led to it, and the waiting jobs it showed as active, in order."""

    cursor: str | None
    ids: Sequence[str]


class Course:
    """One walk, along the `old` marks of the last one. `marks` become those of the next.

    `ordered` is whether the jobs stand as they did, `whole` whether no page was left out, `skipped` how many jobs were,
    `jumped` whether the next page is asked for by an old cursor.
    """

    def __init__(self, old: Sequence[Mark] = ()) -> None:
        self.marks: list[Mark] = []
        self.ordered = self.whole = True
        self.jumped = False
        self.skipped = 0
        self._old = old
        self._starts = [0, *accumulate(len(mark.ids) for mark in old)]
        self._ids = [id for mark in old for id in mark.ids]
        self._known = frozenset(self._ids)
        self._at = 0

    def __repr__(self) -> str:
        return f"<Course of {len(self.marks)} pages after {len(self._old)}>"

    def read(self, mark: Mark, entries: Set[str], *, last: bool) -> Set[str]:
        """Take in a page that has these entries, and is the `last` or not; the jobs that left from among them."""
        self.marks.append(mark)
        known = [id for id in mark.ids if id in self._known]
        if not self.ordered or not (known or (last and not self.jumped)):
            return frozenset()
        try:
            first = self._ids.index(known[0], self._at) if self.jumped else self._at
            end = len(self._ids) if last else self._ids.index(known[-1], first) + 1
        except ValueError:
            self.ordered = False
            return frozenset()
        stood = set(self._ids[first:end])
        self._at, self.jumped = end, False
        self.ordered = stood.issuperset(known)
        return stood - entries if self.ordered else frozenset()

    def onward(self, cursor: str | None, is_cold: Callable[[Sequence[str]], bool]) -> str | None:
        """The cursor to go on by, past pages that are cold; None once there is nothing but such ahead."""
        place = bisect_left(self._starts, self._at)
        rest = self._ids[self._at : self._starts[place]]
        if not self.ordered or (rest and not is_cold(rest)):
            return cursor
        upto = place
        while upto < len(self._old) and is_cold(self._old[upto].ids):
            upto += 1
        if upto == len(self._old):  # nothing but new ones, if any, is ahead
            if not self.marks or (self.whole and not rest and upto == place):
                return cursor
        elif upto == place:
            return cursor
        if rest:
            self.marks.append(Mark(cursor, rest))
        self.marks += self._old[place:upto]
        self.skipped += self._starts[upto] - self._at
        self._at, self.jumped, self.whole = self._starts[upto], True, False
        return self._old[upto].cursor if upto < len(self._old) else None
