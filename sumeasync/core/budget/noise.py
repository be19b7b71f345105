"""Refusals that have nothing to do with the rate."""

from __future__ import annotations

from collections import deque

from sumeasync.core.budget.pace import Tally

__all__ = ["Noise"]


class Noise:
    """Tells the refusals of a limit from those that come now and then, at any rate alike.

    A limit refuses one request after the other, or most of those in flight, or one after every so many. How much noise
    there is shows in calm times, far below any limit; near the limit only more than that tells of it.
    """

    __slots__ = ("_accepted", "_gap", "_gaps", "_lately", "_refused", "_volley")

    _RARE, _SLIGHT = 0.06, 0.002  # of the requests refused: more is no noise, less is none
    _FEW, _VOLLEY = 2, 5  # refusals, from which on their share tells something, and which at once are no noise
    _CHANCE = 2  # so many more may come by chance
    _REGULAR = 8  # gaps alike: noise leaves them once in 6000 times
    _MANY = 2000  # requests, of which half are forgotten

    def __init__(self) -> None:
        self._accepted = self._refused = 0  # in calm times
        self._volley = 0  # refusals that are not judged yet
        self._gap = 0  # requests accepted since the last refusal that was judged
        self._gaps = deque[int](maxlen=self._REGULAR)
        self._lately = Tally(60.0, slots=60)  # refusals at any time

    def accepted(self, *, calm: bool) -> None:
        """Count one request that the limit let through."""
        self._gap += 1
        self._accepted += calm

    def refused(self, now: float, *, calm: bool) -> None:
        """Count one refusal."""
        self._lately.add(now)
        self._refused += calm
        self._volley += 1

    def excludes(self, row: int, *, calm: bool) -> bool:
        """Whether the last refusals, `row` of them one after the other, cannot be noise. Call once for them."""
        if self._accepted > self._MANY:
            self._accepted, self._refused = self._accepted // 2, self._refused // 2
        volley, self._volley = self._volley, 0
        self._gaps.append(self._gap)
        self._gap = 0
        regular = len(self._gaps) == self._REGULAR and max(self._gaps) <= 2 * min(self._gaps)
        frequent = calm and self._refused > self._CHANCE + self._RARE * self._accepted
        return regular or frequent or volley >= self._VOLLEY or row > 1 + (self._SLIGHT <= self._share <= self._RARE)

    def explains(self, now: float, accepted_lately: int) -> bool:
        """Whether there is so much noise that the refusals of the last minute are no more than that."""
        most = self._CHANCE + 2.0 * self._share * accepted_lately
        return self._share >= self._SLIGHT and self._lately.count(now) <= most

    @property
    def _share(self) -> float:
        return self._refused / self._accepted if self._refused >= self._FEW and self._accepted else 0.0
