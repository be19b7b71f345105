"""The limit nobody announced, found from refusals."""

from __future__ import annotations

import math

from sumeasync.core.budget.pace import LATE_SECONDS, Tally

__all__ = ["Adaptive"]


class Adaptive:
    """A limit nobody announced, found from refusals; free until the first one.

    CUBIC (RFC 9438) on a rate: a refusal marks the rate that was really accepted, falls to 0.7 of it, and growth then
    flattens at the mark before it probes beyond. A mark that is met again is the limit: then it falls by 6 % only, and
    waits twice as long before it probes again, up to 24 minutes. It rests while less than half is used, and so never
    grows past twice the rate that is accepted.

    A limit refuses one request after the other, or most of those in flight, or one after every so many; what refuses
    now and then, at any rate alike, is noise. How much of that there is shows far below the mark, and near the mark
    only more than that tells of a limit. This is judged once the limit lets requests through again.
    """

    __slots__ = (
        "_accepted", "_accepted_at", "_calm_accepted", "_calm_refused", "_drop", "_fell_at", "_from", "_gap",
        "_gap_high", "_gap_low", "_gaps", "_grown_seconds", "_mark", "_plateau", "_refused", "_refused_at", "_since",
        "_taken", "_wait_seconds", "next_at", "rate",
    )  # fmt: skip  # one name a line would hide the list

    _DROPS = 0.7, 0.94  # at a mark that is new, and at one that was found before
    _SAME = 0.85
    _PLATEAU_SECONDS, _LONGEST_PLATEAU_SECONDS = 90.0, 1440.0  # from a drop back to the mark
    _PROBE_SECONDS, _PROBE = 180.0, 0.3  # beyond the mark: so much more after so long
    _HORIZON_SECONDS = 60.0  # the accepted rate is an average over this
    _SLOWEST = 0.1  # below this the pauses after refusals do better than a rate
    _SAFE = 0.93  # of the mark: below it the limit is not the reason
    _LONG_WAIT_SECONDS = 5.0  # more is not asked for by accident
    _RARE, _NOISE = 0.03, 0.005  # of requests refused: more is no noise, less is none
    _MANY = 2000  # requests, of which half are forgotten
    _REGULAR = 12  # gaps alike, which noise hardly ever leaves
    _FEW = 5  # refusals, from which on their share tells something
    _BLIND = 1.0  # assumed where nothing was accepted yet

    def __init__(self) -> None:
        self.rate = self._mark = math.inf
        self.next_at = -math.inf
        self._accepted = Tally(self._HORIZON_SECONDS, slots=60)
        self._refused = Tally(self._HORIZON_SECONDS, slots=60)
        self._since = self._accepted_at = math.inf
        self._taken: int | None = None  # how many were accepted when the present row of refusals began,
        self._from = self._refused_at = self._wait_seconds = 0.0  # from when on, when it was last refused, and the hint
        self._calm_accepted = self._calm_refused = 0  # far below the mark, since it was set
        self._fell_at = self._grown_seconds = 0.0
        self._gap, self._gaps = 0, 0  # requests accepted since the last row of refusals, and how many such gaps were
        self._gap_low, self._gap_high = math.inf, 0.0  # alike, from the smallest to the largest
        self._drop, self._plateau = self._DROPS[0], self._PLATEAU_SECONDS

    def take(self, now: float) -> None:
        """Pay for one request."""
        self.next_at = max(self.next_at, now - LATE_SECONDS) + 1.0 / self.rate

    def accepted(self, now: float) -> None:
        """The server did what one request asked."""
        self._accepted.add(now)
        if self._since > now:
            self._since = now
        if self.rate == math.inf:
            if self._calm_refused:
                self._calm_accepted += 1
                self._gap += 1
            return
        self._gap += 1
        self._calm_accepted += self._is_calm()
        gap, self._accepted_at = now - self._accepted_at, now
        seconds = min(max(now - self._since, 1.0), self._HORIZON_SECONDS)
        if self._accepted.count(now) >= 0.5 * self.rate * seconds:
            self._grown_seconds += min(max(0.0, gap), 2.0 / self.rate)  # a pause is not time spent growing
            self.rate = max(self.rate, self._mark * self._swing())

    def refused(self, now: float, wait_seconds: float) -> None:
        """The server refused one request for its rate; `wait_seconds` is its hint, or 0."""
        if self._taken is None:
            self._taken, self._from = self._accepted.count(now), max(now - self._HORIZON_SECONDS, self._since)
            self._wait_seconds = 0.0
            if self._calm_accepted > self._MANY:
                self._calm_accepted, self._calm_refused = self._calm_accepted // 2, self._calm_refused // 2
        self._refused.add(now)
        self._calm_refused += self._is_calm()
        self._refused_at, self._wait_seconds = now, max(self._wait_seconds, wait_seconds)

    def recovered(self, now: float, row: int) -> None:
        """A request was admitted that was sent after the last one refused; `row` were refused one after the other."""
        if self._taken is not None and self._met_limit(now, row):
            self._fall(self._measure(self._taken, now, row), now)
        self._taken = None

    def _met_limit(self, now: float, row: int) -> bool:
        refused, accepted = self._calm_refused, self._calm_accepted
        noise = refused / accepted if refused >= self._FEW and accepted else 0.0
        if self._wait_seconds >= self._LONG_WAIT_SECONDS or row > 1 + (self._NOISE <= noise <= self._RARE):
            return True
        if self._is_regular():
            return True
        if self._is_calm():
            return refused > 2 + self._RARE * accepted
        return noise < self._NOISE or self._refused.count(now) > 2 + 1.5 * noise * self._accepted.count(now)

    def _is_regular(self) -> bool:
        """Whether refusals come after equal numbers of requests, as from a limit that each pause refills a little."""
        gap, self._gap = self._gap, 0
        low, high = min(self._gap_low, gap), max(self._gap_high, gap)
        if high <= 2 * low:
            self._gap_low, self._gap_high, self._gaps = low, high, self._gaps + 1
        else:
            self._gap_low, self._gap_high, self._gaps = gap, gap, 1
        return self._gaps >= self._REGULAR

    def _is_calm(self) -> bool:
        return self._mark == math.inf or self.rate < self._SAFE * self._mark

    def _measure(self, taken: int, now: float, row: int) -> float:
        """The rate that was accepted: over the last minute, or since the last fall if that was less."""
        measured = self._per_second(taken, self._from, now, row)
        if self._calm_accepted >= 10 and self._is_calm() and self._mark < math.inf:
            measured = min(measured, self._per_second(self._calm_accepted, self._fell_at, now, row))
        return measured or self._BLIND

    def _per_second(self, taken: int, start: float, now: float, row: int) -> float:
        seconds = max(0.0, self._refused_at + self._wait_seconds - start)
        if row > 1:  # the window that was spent ended between the last refusal and now
            seconds = math.sqrt(seconds * max(seconds, now - start))
        return taken / min(max(seconds, 1.0), self._HORIZON_SECONDS)

    def _fall(self, measured: float, now: float) -> None:
        mark = max(self._SLOWEST, min(self.rate, measured))
        known = self._SAME <= mark / self._mark <= 1.0 / self._SAME
        self._drop = self._DROPS[known]
        self._plateau = min(2.0 * self._plateau, self._LONGEST_PLATEAU_SECONDS) if known else self._PLATEAU_SECONDS
        self._mark, self._fell_at = mark, now
        self.rate = max(self._SLOWEST, self._drop * mark)
        self._grown_seconds = 0.0
        self._calm_accepted = self._calm_refused = 0
        self._gap, self._gaps = 0, 0
        self._gap_low, self._gap_high = math.inf, 0.0

    def _swing(self) -> float:
        """The rate as a share of the mark."""
        seconds = self._grown_seconds - self._plateau
        if seconds < 0.0:
            return 1.0 + (1.0 - self._drop) * (seconds / self._plateau) ** 3
        return 1.0 + self._PROBE * (seconds / self._PROBE_SECONDS) ** 3
