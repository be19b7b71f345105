"""The limit nobody announced, found from refusals."""

from __future__ import annotations

import math

from sumeasync.core.budget.noise import Noise
from sumeasync.core.budget.pace import LATE_SECONDS, Tally

__all__ = ["Adaptive"]


class Adaptive:
    """A limit nobody announced, found from refusals; free until the first one.

    A refusal marks the rate that was really accepted. A new mark is approached as in CUBIC (RFC 9438): from 0.7 of it
    up to just below within 90 seconds, and then beyond. Where it is met again it is the limit: from then on the rate
    is held just below for ten minutes before more is tried, and each time that fails for twice as long, up to an hour.
    So a limit that was raised to the double is in use after 65 minutes at the latest, and costs one probe an hour to
    watch; one that fell is obeyed at once. While less than half is used nothing grows, so never past twice what is
    accepted. What refuses now and then, at any rate alike, is noise and marks nothing.
    """

    __slots__ = (
        "_accepted", "_before", "_closed_at", "_grow_at", "_grown_seconds", "_low", "_mark", "_noise", "_open_at",
        "_plateau", "_refused_at", "_seconds", "_since", "next_at", "rate",
    )  # fmt: skip  # one name a line would hide the list

    _DROP, _HOLD = 0.7, 0.975  # of a mark that is new, and of one that was met again
    _SAME = 0.85
    _APPROACH_SECONDS, _PLATEAU_SECONDS, _LONGEST_PLATEAU_SECONDS = 90.0, 600.0, 3600.0
    _PROBE_SECONDS, _PROBE = 180.0, 0.3  # beyond the plateau: so much more after so long
    _USE_SECONDS = 60.0  # over which it is measured how much is used,
    _BURST_SECONDS = 1.0  # and before anything is known: a burst after quiet times tells more than their average
    _MEMORY_SECONDS = 3600.0  # remembered, in slots of a second
    _SLOWEST = 0.02  # below this the pauses after refusals do better than a rate
    _CALM = 0.93  # of the mark: below it the limit is not the reason
    _LONG_WAIT_SECONDS = 5.0  # more is not asked for by accident
    _ENOUGH, _TOO_FEW = 20, 5  # accepted requests, to measure a rate well and at all
    _BLIND = 1.0  # assumed where nothing was accepted yet

    def __init__(self) -> None:
        self.rate = self._mark = math.inf
        self.next_at = -math.inf
        self._noise = Noise()
        self._since = self._grow_at = math.inf
        self._closed_at: float | None = None  # when the present row of refusals began,
        self._refused_at = self._open_at = -math.inf  # the last of them, and when it said that it will open again
        self._accepted = Tally(self._MEMORY_SECONDS, slots=3600)  # since the last fall
        self._low = self._HOLD  # of the mark, after the last fall,
        self._seconds = self._grown_seconds = 0.0  # from there to where it is held, and how many are over
        self._plateau = 0.5 * self._PLATEAU_SECONDS
        self._before = math.inf  # the mark that a probe has just raised

    def take(self, now: float) -> None:
        """Pay for one request."""
        self.next_at = max(self.next_at, now - LATE_SECONDS) + 1.0 / self.rate

    def accepted(self, now: float) -> None:
        """The server did what one request asked."""
        self._accepted.add(now)
        if self._since > now:
            self._since = now
        if self._refused_at > -math.inf:
            self._noise.accepted(calm=self._is_calm())
            if now >= self._grow_at:
                self._grow(now)

    def refused(self, now: float, wait_seconds: float) -> None:
        """The server refused one request for its rate; `wait_seconds` is its hint, or 0."""
        if self._closed_at is None:
            self._closed_at = now
        self._refused_at, self._open_at = now, now + wait_seconds
        self._noise.refused(now, calm=self._is_calm())

    def recovered(self, now: float, row: int) -> None:
        """A request was admitted that was sent after the last one refused; `row` were refused one after the other."""
        if self._closed_at is None:
            return
        calm, waits = self._is_calm(), self._open_at - self._refused_at >= self._LONG_WAIT_SECONDS
        if self._noise.excludes(row, calm=calm) or waits:
            self._fall(self._measure(self._closed_at, now, row), now)
        elif not calm and not self._noise.explains(now, self._accepted.since(now - self._USE_SECONDS)):
            self._fall(max(self._measure(self._closed_at, now, row), self._CALM * self.rate), now)
        self._closed_at = None

    def _is_calm(self) -> bool:
        return self._mark == math.inf or self.rate < self._CALM * self._mark

    def _measure(self, closed_at: float, now: float, row: int) -> float:
        """The rate that was accepted until it opened again: over a minute, or longer where it was closed long."""
        end = self._open_at
        if end == self._refused_at and row > 1:
            end = 0.5 * (end + now)  # it opened in between
        burst = self._mark == math.inf and end - closed_at < self._LONG_WAIT_SECONDS
        usual = self._BURST_SECONDS if burst else self._USE_SECONDS
        seconds, all_seconds = max(usual, 4.0 * (end - closed_at)), max(1.0, end - self._since)
        while seconds < all_seconds and self._accepted.since(end - seconds) < self._ENOUGH:
            seconds *= 2.0
        seconds = min(seconds, all_seconds, self._MEMORY_SECONDS)
        count = self._accepted.since(end - seconds)
        if count < self._TOO_FEW and end - closed_at < self._USE_SECONDS and self.rate < math.inf:
            return self.rate
        return (count + (not burst)) / seconds if count else self._BLIND  # so many, and not one more

    def _fall(self, measured: float, now: float) -> None:
        limit = max(self._SLOWEST, min(self.rate, measured))
        probing, before = self._grown_seconds > self._seconds, self._before
        self._before = self._mark if probing else math.inf
        if probing and limit >= self._SAME * self._mark:
            self._plateau = min(2.0 * self._plateau, self._LONGEST_PLATEAU_SECONDS)
            self._set(max(limit, self._HOLD * self._mark), self._HOLD, self._plateau, now)
        elif not probing and before < math.inf:  # a bucket may have filled while less was used
            self._set(before if now - self._since < self._USE_SECONDS else limit, self._HOLD, self._plateau, now)
        else:
            if limit < self._CALM * self._mark:  # times were not calm
                self._noise = Noise()
            self._set(limit, self._DROP, self._APPROACH_SECONDS, now)

    def _set(self, mark: float, low: float, seconds: float, now: float) -> None:
        self._mark, self._low, self._seconds = mark, low, seconds
        self.rate = max(self._SLOWEST, low * mark)
        self._grown_seconds = 0.0
        self._since, self._grow_at = now, now + 1.0
        self._accepted = Tally(self._MEMORY_SECONDS, slots=3600)

    def _grow(self, now: float) -> None:
        """Once a second."""
        lapse, self._grow_at = now - self._grow_at + 1.0, now + 1.0
        seconds = min(max(now - self._since, 1.0), self._USE_SECONDS)
        if self._accepted.since(now - seconds) >= 0.5 * self.rate * seconds:
            self._grown_seconds += min(lapse, max(2.0, 2.0 / self.rate))  # a pause is not time spent growing
            self.rate = max(self.rate, self._mark * self._swing())

    def _swing(self) -> float:
        """The rate as a share of the mark."""
        seconds = self._grown_seconds - self._seconds
        if seconds < 0.0:
            return self._HOLD + (self._HOLD - self._low) * (seconds / self._seconds) ** 3
        return self._HOLD + self._PROBE * (seconds / self._PROBE_SECONDS) ** 3
