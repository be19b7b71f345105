"""Limiters: each knows when the next request may go, and none of them waits.

All share one shape: `next_at` (monotonic seconds; a request may go once `now` has reached it) and `take(now)`, which
pays for one request and moves `next_at`. Several limits at once are simply the latest `next_at`.
"""

from __future__ import annotations

import math
from collections import deque

from sumeasync.core.budget.retryafter import LimitView

__all__ = ["GRAIN_SECONDS", "Adaptive", "Pace", "Quota", "Window"]

GRAIN_SECONDS = 1.0
"""Servers announce whole seconds, rounded either way: a reset is trusted no further than this."""

_FREE = -math.inf


class Pace:
    """An even pace below a known limit, for windows short enough that waiting out a spent one would hurt.

    GCRA as virtual scheduling (ITU-T I.371): 98 % of the limit, and a burst of 1 % of it beyond the first request.
    Together they keep every window, sliding or fixed, within `limit`, and the rest is room for uneven latency: a
    sent pair may arrive closer together by 2 % of the window.
    """

    __slots__ = ("_interval", "_theoretical_at", "_tolerance", "next_at", "rate")

    def __init__(self, limit: float, seconds: float) -> None:
        self.rate = 0.98 * limit / seconds
        self._interval = 1.0 / self.rate
        self._tolerance = int(0.01 * limit) * self._interval
        self._theoretical_at = self.next_at = _FREE

    def take(self, now: float) -> None:
        """Pay for one request."""
        self._theoretical_at = max(self._theoretical_at, now) + self._interval
        self.next_at = self._theoretical_at - self._tolerance


class _Tally:
    """How many events the last `seconds` saw, never too few: counted in slots, and a slot leaves as a whole."""

    __slots__ = ("_seconds", "_slot", "_slots", "count")

    def __init__(self, seconds: float, slots: int) -> None:
        self._seconds = seconds
        self._slot = seconds / slots
        self._slots: deque[list[float]] = deque()  # [end of the slot, events in it]
        self.count = 0.0

    def add(self, now: float) -> None:
        self.expire(now)
        if not self._slots or self._slots[-1][0] <= now:
            self._slots.append([(now // self._slot + 1) * self._slot, 0])
        self._slots[-1][1] += 1
        self.count += 1

    def expire(self, now: float) -> None:
        while self._slots and self.oldest_leaves_at <= now:
            self.count -= self._slots.popleft()[1]

    @property
    def oldest_leaves_at(self) -> float:
        return self._slots[0][0] + self._seconds


class Quota:
    """At most `limit` requests in any `seconds`, as fast as wanted until it is spent: for a day's allowance."""

    __slots__ = ("_limit", "_tally", "next_at")

    def __init__(self, limit: float, seconds: float) -> None:
        self._limit = limit
        self._tally = _Tally(seconds, slots=100)
        self.next_at = _FREE

    def take(self, now: float) -> None:
        """Pay for one request."""
        self._tally.add(now)
        if self._tally.count + 1 > self._limit:
            self.next_at = self._tally.oldest_leaves_at

    def left(self, now: float) -> int:
        """How many requests may go before the quota is spent."""
        self._tally.expire(now)
        return max(0, int(self._limit - self._tally.count))


class Adaptive:
    """A limit nobody announced, found from refusals; free until the first one.

    CUBIC (RFC 9438) on a rate: a refusal marks the rate that was really accepted, falls to 0.7 of it, and growth then
    flattens at the mark before it probes beyond. A mark that is met again is the limit: then it falls by a tenth only,
    and takes twice as long to probe again, up to a quarter of an hour. It rests while less than half is used, and so
    never grows past twice the rate that is accepted.
    """

    __slots__ = (
        "_accepted", "_accepted_at", "_drop", "_grown_seconds", "_mark", "_plateau", "_refused", "_since",
        "next_at", "rate",
    )  # fmt: skip  # one name a line would hide the list

    _DROPS = 0.7, 0.9  # at a mark that is new, and at one that was found before
    _SAME = 0.85
    _PLATEAU_SECONDS, _LONGEST_PLATEAU_SECONDS = 90.0, 720.0  # from a drop back to the mark
    _HORIZON_SECONDS = 60.0  # the accepted rate is an average over this
    _SLOWEST = 0.1  # below this the pauses after refusals do better than a rate
    _SAFE = 0.93  # of the mark: below it the limit is not the reason
    _RARE, _SHORT_WAIT_SECONDS = 0.03, 5.0  # of refusals that may be accidents
    _BLIND = 1.0  # assumed where nothing was accepted yet

    def __init__(self) -> None:
        self.rate = math.inf
        self.next_at = _FREE
        self._mark = math.inf
        self._accepted = _Tally(self._HORIZON_SECONDS, slots=60)
        self._refused = _Tally(self._HORIZON_SECONDS, slots=60)
        self._since = self._accepted_at = math.inf
        self._grown_seconds = 0.0
        self._drop, self._plateau = self._DROPS[0], self._PLATEAU_SECONDS

    def take(self, now: float) -> None:
        """Pay for one request."""
        self._since = min(self._since, now)
        self.next_at = max(self.next_at, now) + 1.0 / self.rate

    def accepted(self, now: float) -> None:
        """The server did what one request asked."""
        self._accepted.add(now)
        gap, self._accepted_at = now - self._accepted_at, now
        if self.rate == math.inf or self._measured(now) < 0.5 * self.rate:
            return
        self._grown_seconds += min(max(0.0, gap), 2.0 / self.rate)  # a pause is not time spent growing
        swing = self._grown_seconds / self._plateau - 1.0
        self.rate = max(self.rate, self._mark * (1.0 + (1.0 - self._drop) * swing**3))

    def note_refusal(self, now: float) -> None:
        """One request was refused for its rate, whatever follows from it."""
        self._refused.add(now)

    def looks_accidental(self, now: float, wait_seconds: float) -> bool:
        """Whether the refusals noted are few, and no long wait is asked for; a limit refuses one after the other."""
        self._accepted.expire(now)
        few = self._refused.count <= self._RARE * self._accepted.count
        below = self._mark == math.inf or self.rate < self._SAFE * self._mark
        return few and below and wait_seconds < self._SHORT_WAIT_SECONDS

    def refused(self, now: float, wait_seconds: float) -> None:
        """The server refused one request for its rate: call once for all that were refused together.

        `wait_seconds` is the server's hint, or 0: what it accepted so far was then for that time too.
        """
        measured = self._measured(now, wait_seconds) or self._BLIND
        paced = self.rate < math.inf and measured >= 0.5 * self.rate  # pauses lower what is measured, not the limit
        mark = max(self._SLOWEST, self.rate if paced else min(self.rate, measured))
        known = self._SAME * self._mark <= mark < math.inf and self._mark < math.inf
        self._drop = self._DROPS[known]
        self._plateau = min(2.0 * self._plateau, self._LONGEST_PLATEAU_SECONDS) if known else self._PLATEAU_SECONDS
        self._mark = mark
        self.rate = max(self._SLOWEST, self._drop * mark)
        self._grown_seconds = 0.0

    def _measured(self, now: float, ahead_seconds: float = 0.0) -> float:
        self._accepted.expire(now)
        seconds = min(max(now - self._since + ahead_seconds, 1.0), self._HORIZON_SECONDS)
        return self._accepted.count / seconds


class Window:
    """A limit the server announces: `limit` requests in each window, and when the present one resets.

    Requests go at an even pace below the limit, which holds in every window wherever it begins (see `Pace`); so the
    reset, announced in whole seconds and rounded who knows how, need not be known exactly. The length of the windows
    must: it is the largest reset announced, or a second more. The longer one is assumed until the server's own count
    of a window's requests, held against the pace, proves the shorter.

    `remaining - in_flight` never promises too much: the smallest `remaining` of the window was true when some answer
    left the server, and only requests still unanswered can have been counted since. When it runs short although the
    pace was kept, others spend from the same window: the rest is spread over the time until the reset.
    """

    __slots__ = (
        "_assumed", "_even_since", "_length", "_most_used", "_sent", "_sent_at", "_spare", "_whole",
        "in_flight", "limit", "next_at", "remaining", "reset_at",
    )  # fmt: skip  # one name a line would hide the list

    _SAME_SECONDS = 2 * GRAIN_SECONDS  # two announced resets this close are one window
    _SHARE = 0.98
    _COARSE = 10 * GRAIN_SECONDS  # in shorter windows the grain hides whether others spend
    _PROOF_WINDOWS = 3.0

    def __init__(self, in_flight: int = 0) -> None:
        self.in_flight = in_flight
        self.limit = self.remaining = math.inf
        self.reset_at = self._sent_at = self.next_at = _FREE
        self._length = 0.0  # the longest reset announced
        self._spare = GRAIN_SECONDS  # by which a window may be longer
        self._whole = False  # a window was seen from its start
        self._assumed = False  # the present window was never announced, only expected
        self._even_since, self._sent, self._most_used = math.inf, 0, 0.0

    @property
    def rate(self) -> float:
        """Requests a second that the announced limit comes to."""
        return self.limit / self._length if self._length else math.inf

    def take(self, now: float) -> None:
        """Pay for one request."""
        if now >= self.reset_at + GRAIN_SECONDS and self._length:
            self.remaining = self.limit
            self._assumed = True
            self.reset_at += self._length * math.ceil((now - self.reset_at) / self._length)
        self.in_flight += 1
        self._sent += 1
        self._sent_at = now
        self._plan(now)

    def answered(self, view: LimitView | None, now: float) -> None:
        """One request was answered, or never will be (`view` None); call once for each `take`."""
        self.in_flight = max(0, self.in_flight - 1)
        if view is None or view.remaining is None or view.reset_seconds is None:
            self.remaining -= 1  # it may have been counted
        else:
            self._learn(view, view.remaining, now + view.reset_seconds, now)
            self._prove(view.remaining, now)
        self._plan(now)

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
        jumped = remaining > self.remaining + self.in_flight + 1  # more than answers out of order can explain
        fresh = late or jumped or self._assumed or (now >= self.reset_at and remaining > self.remaining)
        if fresh or limit != self.limit:
            # Untouched right after the last one ended, it is seen from its start: then the reset is the whole length.
            whole = abs(now - self.reset_at) <= 2 * self._SAME_SECONDS and remaining >= limit - self.in_flight - 1
            known = 0.0 if whole or limit != self.limit else self._length
            length = max(known, reset_at - now, GRAIN_SECONDS)
            if limit != self.limit or abs(length - self._length) > 0.5 * GRAIN_SECONDS:
                self._spare, self._even_since = GRAIN_SECONDS, now
                self._sent, self._most_used = 0, 0.0
            self._length, self._whole = length, whole or known > 0.0
            self.limit, self.remaining, self.reset_at, self._assumed = limit, remaining, reset_at, False
        elif reset_at >= self.reset_at - self._SAME_SECONDS:
            self.remaining = min(self.remaining, remaining)
            self.reset_at = max(self.reset_at, reset_at)
        elif reset_at > now + self._SAME_SECONDS:  # not the echo of a window just past: the server knows better
            self.remaining, self.reset_at = remaining, reset_at

    def _prove(self, remaining: float, now: float) -> None:
        """Find out from the most the server ever counts in a window, at an even pace, whether windows are shorter."""
        if self._spare == 0.0 or not self._whole:
            return
        self._most_used = max(self._most_used, self.limit - remaining)
        seconds, rate = now - self._even_since, self._SHARE * self.limit / (self._length + self._spare)
        if seconds >= self._PROOF_WINDOWS * (self._length + self._spare):
            busy = self._sent >= 0.8 * rate * seconds
            if busy and self._most_used <= rate * (self._length + 0.5 * self._spare) + 0.5:
                self._spare = 0.0
            self._even_since, self._sent, self._most_used = now, 0, 0.0

    def _plan(self, now: float) -> None:
        available = self.remaining - self.in_flight
        if not self._length:
            return
        if available < 1:
            self.next_at = self.reset_at + GRAIN_SECONDS
            return
        length, left = self._length + self._spare, self.reset_at - now
        interval = length / (self._SHARE * self.limit)
        short = length >= self._COARSE and available < 0.5 * self.limit * left / length - 1
        if short or not self._whole:
            interval = max(interval, left / (available + 1))
        self.next_at = self._sent_at + interval
