"""The limit the server announces, kept as its windows are."""

from __future__ import annotations

import math

from sumeasync.core.budget.pace import LATE_SECONDS
from sumeasync.core.budget.retryafter import LimitView

__all__ = ["GRAIN_SECONDS", "Window"]

GRAIN_SECONDS = 1.0
"""Servers announce whole seconds, rounded either way: a reset is trusted no further than this."""


class Window:
    """A limit the server announces: `limit` requests in each window, and when the present one resets.

    Requests go at an even pace below the limit, which holds in every window wherever it begins (see `Pace`); so the
    reset, announced in whole seconds and rounded who knows how, need not be known exactly. The length of the windows
    must: it is announced as such, or it is the largest reset announced, or a second more. The longer one is assumed
    until the most that the server ever counts in a window, held against the pace, proves how short they are. In
    windows of a few seconds that count also tells how much the uneven latency takes.

    `alone` is set where another lane was once taken to be paid from here and was not: it is not so taken again.

    `remaining - in_flight` never promises too much: the smallest `remaining` of the window was true when some answer
    left the server, and only requests still unanswered can have been counted since. When it runs short although the
    pace was kept, others spend from the same window: the rest is spread over the time until the reset.
    """

    __slots__ = (
        "_assumed", "_even_since", "_length", "_most", "_most_used", "_sent", "_sent_at", "_spare", "_tightest",
        "_whole", "alone", "in_flight", "limit", "next_at", "remaining", "reset_at",
    )  # fmt: skip  # one name a line would hide the list

    _SAME_SECONDS = 2 * GRAIN_SECONDS  # two announced resets this close are one window
    _SHARE, _BURST, _EARLY = 0.98, 0.01, 0.002
    _LONG_SECONDS = 900.0  # windows as long as this may be spent as fast as wanted
    _COARSE = 10 * GRAIN_SECONDS  # in shorter windows the grain hides whether others spend
    _BRIEF = 3 * GRAIN_SECONDS  # and in windows shorter than this also when one ends: only the pace is kept
    _UNEVEN = 1.5 * GRAIN_SECONDS  # assumed for them at first, grain and latency
    _PROOF_WINDOWS, _PROOF_SECONDS = 3.0, 30.0
    _MARGIN = 1.05  # for the fuller windows that are still to come

    def __init__(self, in_flight: int = 0, sent_at: float = -math.inf, *, alone: bool = False) -> None:
        self.in_flight = self._most = in_flight  # `_most` of them at once, in the present window
        self.alone = alone
        self.limit = self.remaining = math.inf
        self.reset_at = self.next_at = -math.inf
        self._sent_at = sent_at
        self._length = 0.0  # the longest reset announced
        self._spare = GRAIN_SECONDS  # by which a window may be longer,
        self._tightest = 0.0  # and never less than this, which was too little
        self._whole = False  # a window was seen from its start
        self._assumed = False  # the present window was never announced, only expected
        self._even_since, self._sent, self._most_used = math.inf, 0, 0.0

    @property
    def rate(self) -> float:
        """Requests a second that the announced limit comes to."""
        return self.limit / self._length if self._length else math.inf

    def allowance(self, now: float) -> float:
        """What is left of a window so long that it is not paced; infinite for others."""
        if self._length < self._LONG_SECONDS:
            return math.inf
        return self.limit if now >= self.reset_at + GRAIN_SECONDS else self.remaining - self.in_flight

    def take(self, now: float) -> None:
        """Pay for one request."""
        if now >= self.reset_at + GRAIN_SECONDS and self._length:
            self.remaining = self.limit
            self._assumed = True
            self.reset_at += self._length * math.ceil((now - self.reset_at) / self._length)
        self.in_flight += 1
        self._most = max(self._most, self.in_flight)
        self._sent += 1
        self._sent_at = min(now, max(self.next_at, now - self._credit)) if self.next_at > -math.inf else now
        self._plan(now)

    def answered(self, view: LimitView | None, now: float, *, refused: bool = False) -> None:
        """One request was answered, or never will be (`view` None); call once for each `take`."""
        self.in_flight = max(0, self.in_flight - 1)
        if view is None or view.remaining is None or view.reset_seconds is None:
            self.remaining -= 1  # it may have been counted
        else:
            self._learn(view, view.remaining, now + view.reset_seconds, now)
            if self._whole:
                self._tune(view.remaining, now, refused=refused)
        self._plan(now)

    @property
    def _credit(self) -> float:
        """Seconds of lateness that may be made up for: who wakes up late for many requests sends them together."""
        if not self._length:
            return 0.0
        length = self._length + self._spare
        burst = int(self._BURST * self.limit) * length / (self._SHARE * self.limit)
        return min(LATE_SECONDS, max(burst, self._EARLY * length if length >= self._COARSE else 0.0))

    def denies(self, view: LimitView | None, now: float) -> bool:
        """Whether `view` cannot be of this window: more remains than this window's answers allow."""
        if view is None or view.remaining is None or view.reset_seconds is None:
            return False
        same = abs(now + view.reset_seconds - self.reset_at) <= self._SAME_SECONDS and view.limit == self.limit
        return not same or view.remaining > self.remaining + self.in_flight + 0.1 * self.limit + 2

    def matches(self, other: Window) -> bool:
        """Whether both tell of one bucket: same limit, same reset, and the same part of it visibly spent."""
        return (
            self.limit == other.limit
            and not (self.alone or other.alone)
            and abs(self.reset_at - other.reset_at) <= self._SAME_SECONDS
            and abs(self.remaining - other.remaining) <= self.in_flight + other.in_flight + 1
            and self.remaining < 0.9 * self.limit
        )

    def absorb(self, other: Window) -> None:
        """Stand for `other` too."""
        self.in_flight += other.in_flight
        self.remaining = min(self.remaining, other.remaining)
        self.reset_at = max(self.reset_at, other.reset_at)
        self._sent_at = max(self._sent_at, other._sent_at)

    def _learn(self, view: LimitView, remaining: float, reset_at: float, now: float) -> None:
        limit = view.limit or max(remaining + 1, self.limit if self.limit < math.inf else 0)
        late = reset_at > self.reset_at + self._SAME_SECONDS
        overtaken = self._most if self._length >= self._LONG_SECONDS else self.in_flight
        jumped = remaining > self.remaining + overtaken + 1  # more than answers out of order can explain
        fresh = late or jumped or self._assumed or (now >= self.reset_at and remaining > self.remaining)
        if fresh or limit != self.limit:
            # Untouched right after the last one ended, it is seen from its start: then the reset is the whole length.
            whole = abs(now - self.reset_at) <= 2 * self._SAME_SECONDS and remaining >= limit - self.in_flight - 1
            known = 0.0 if whole or limit != self.limit else self._length
            length = max(known, reset_at - now, GRAIN_SECONDS)
            told = view.window_seconds or 0.0
            if told and length <= told + GRAIN_SECONDS:
                length = told
            if limit != self.limit or abs(length - self._length) > 0.5 * GRAIN_SECONDS:
                self._spare = self._UNEVEN if length < self._BRIEF else 0.0 if told else GRAIN_SECONDS
                self._tightest = 0.0
                self._watch(now)
            self._length, self._whole = length, whole or known > 0.0 or told > 0.0
            self.limit, self.remaining, self.reset_at, self._assumed = limit, remaining, reset_at, False
            self._most = self.in_flight
        elif reset_at >= self.reset_at - self._SAME_SECONDS:
            self.remaining = min(self.remaining, remaining)
            self.reset_at = max(self.reset_at, reset_at)
        elif reset_at > now + self._SAME_SECONDS:  # not the echo of a window just past: the server knows better
            self.remaining, self.reset_at = remaining, reset_at

    def _watch(self, now: float) -> None:
        self._even_since, self._sent, self._most_used = now, 0, 0.0

    def _tune(self, remaining: float, now: float, *, refused: bool) -> None:
        """Go as fast as the most allows that the server ever counts in a window at an even pace."""
        self._most_used = max(self._most_used, self.limit - remaining)
        seconds, length = now - self._even_since, self._length + self._spare
        if refused and seconds > length and self._length < self._BRIEF:
            self._spare = self._tightest = self._MARGIN * length - self._length
            self._watch(now)
        elif seconds >= max(self._PROOF_WINDOWS * length, self._PROOF_SECONDS):
            rate = self._SHARE * self.limit / length
            if self._sent >= 0.8 * rate * seconds:
                margin = self._MARGIN if self._length < self._BRIEF else 1.0
                spare = max(0.0, self._tightest, margin * self._most_used / rate - self._length)
                self._spare = min(self._spare, spare)
            self._watch(now)

    def _plan(self, now: float) -> None:
        brief = self._whole and self._length < self._BRIEF and self._spare < self._UNEVEN  # and the pace is proven
        available = self.remaining - self.in_flight
        if not self._length:
            return
        if available < 1 and not brief:
            self.next_at = self.reset_at + GRAIN_SECONDS
            return
        if self._length >= self._LONG_SECONDS:  # an allowance: a batch is not spread over a day
            self.next_at = -math.inf
            return
        length, left = self._length + self._spare, self.reset_at - now
        interval = length / (self._SHARE * self.limit)
        short = length >= self._COARSE and available < 0.5 * self.limit * left / length - 1
        if short or not self._whole:
            interval = max(interval, left / (available + 1))
        self.next_at = self._sent_at + interval
