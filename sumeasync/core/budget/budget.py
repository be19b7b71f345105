"""The rate budget: when may the next request of a lane go? Answers with a delay, and learns from every reply.

A lane is held by up to four limiters and a pause, and the latest of them decides: the configured pace, the configured
day quota, the window the server announces, and the limit inferred from refusals. After a refusal one request at a
time goes out until one is admitted, so a wrong guess costs one refusal and not a volley.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from sumeasync.core.budget.limiters import GRAIN_SECONDS, Adaptive, Pace, Quota, Window
from sumeasync.core.budget.retryafter import MAX_RETRY_AFTER_SECONDS, LimitView, rate_limit, retry_after_seconds
from sumeasync.errors import SettingsError
from sumeasync.models import Lane

__all__ = ["Budget", "LaneView", "Rate"]

_LANES: tuple[Lane, ...] = ("read", "create", "media")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|min|h|d)\s*")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_PROBE_SECONDS = 0.25  # while one request's answer is awaited
_FIRST_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 60.0
_EARLY_SECONDS = 1e-9  # less than this too early is rounding


class Rate(msgspec.Struct, frozen=True):
    """At most `limit` requests in `seconds`."""

    limit: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``120/m``, ``2/s``, ``600/h`` or ``10000/d``; raises `SettingsError` on anything else."""
        match = _RATE.fullmatch(text)
        if match is None or not 0.0 < float(match[1]) < math.inf:
            message = f"{text[:40]!r} is not a rate"
            raise SettingsError(message, hint="write a number above 0 and a unit: 2/s, 120/m, 600/h or 10000/d")
        return cls(float(match[1]), _UNIT_SECONDS[match[2]])


class LaneView(msgspec.Struct, frozen=True):
    """One lane for display: `rate_per_second` is the tightest known limit, None where nothing is known."""

    rate_per_second: float | None
    remaining: int | None
    reset_seconds: float | None
    left_today: int | None
    paused_seconds: float
    in_flight: int


class Budget:
    """One key's request budget. `now` is monotonic seconds, `wall_now` epoch seconds.

    `read`, `create` and `media` are kept as an even pace; `read_day` and `create_day` may be spent as fast as the pace
    allows. A lane without a rate is free until the server announces a limit or refuses. A configured limit is never
    exceeded in any window; an announced one by at most 5 %, where its windows meet, and never in the server's own.
    """

    def __init__(
        self,
        *,
        read: Rate | None = None,
        create: Rate | None = None,
        media: Rate | None = None,
        read_day: Rate | None = None,
        create_day: Rate | None = None,
    ) -> None:
        self._lanes: dict[Lane, _Lane] = {
            "read": _Lane(read, read_day),
            "create": _Lane(create, create_day),
            "media": _Lane(media, None),
        }

    def reserve(self, lane: Lane, now: float) -> float:
        """0.0: a token is taken, go. Otherwise the seconds after which it is worth asking again; nothing is taken."""
        return self._lanes[lane].reserve(now)

    def record(self, lane: Lane, status: int | None, headers: Mapping[str, str], now: float, wall_now: float) -> None:
        """Learn from the reply to a reserved request; call exactly once for each token taken.

        `status` is None where no answer came. Header names are in lower case.
        """
        state = self._lanes[lane]
        view = rate_limit(headers, wall_now)
        self._settle(state, view, now)
        current = state.answered()
        asked = headers.get("retry-after")
        hint = None if asked is None else retry_after_seconds(asked, wall_now)
        if status == 429:
            self.pause(lane, state.refused(hint, view, now, current=current), now)
        elif status is None or status >= 500:
            if status == 503 and hint:
                self.pause(lane, hint, now)
        else:
            state.admitted(now, current=current, useful=status < 400 or status == 409)  # 409: not yet, a poll's answer

    def pause(self, lane: Lane, seconds: float, now: float) -> None:
        """Let nothing of `lane` go for `seconds` (at most an hour), nor of a lane known to share its bucket."""
        until = now + min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)
        window = self._lanes[lane].window
        for state in self._lanes.values():
            if state.window is window:
                state.paused_until = max(state.paused_until, until)

    def snapshot(self, now: float) -> dict[Lane, LaneView]:
        """How every lane stands, for display."""
        return {lane: state.view(now) for lane, state in self._lanes.items()}

    def _settle(self, state: _Lane, view: LimitView | None, now: float) -> None:
        """Book the announcement, and find out whether lanes are paid from one bucket."""
        if view is None:
            state.window.answered(None, now)
            return
        others = [other for other in self._lanes.values() if other is not state]
        if any(other.window is state.window for other in others) and state.window.denies(view, now):
            state.window.in_flight -= state.in_flight
            state.follow(Window(state.in_flight))
        state.window.answered(view, now)
        for other in others:
            if other.window is not state.window and other.window.matches(state.window):
                state.window.absorb(other.window)
                other.follow(state.window)


class _Lane:
    """One lane's limiters, and what is known of its requests in flight."""

    def __init__(self, pace: Rate | None, day: Rate | None) -> None:
        self._pace = Pace(pace.limit, pace.seconds) if pace else None
        self._quota = Quota(day.limit, day.seconds) if day else None
        self._adaptive = Adaptive()
        self.paused_until = -math.inf
        self.in_flight = 0
        self._refusals = 0  # in a row
        self._fell = False  # the rate fell in this row already
        self._stale = 0  # requests still in flight from before the last refusal: their answers tell nothing new
        self.follow(Window())

    def follow(self, window: Window) -> None:
        self.window = window
        known: list[Pace | Quota] = [limiter for limiter in (self._pace, self._quota) if limiter]
        self._limiters = (*known, self._adaptive, window)

    def reserve(self, now: float) -> float:
        at = self.paused_until
        for limiter in self._limiters:
            if limiter.next_at > at:
                at = limiter.next_at
        if at - now > _EARLY_SECONDS:
            return at - now
        if self._refusals and self.in_flight > self._stale:
            return _PROBE_SECONDS
        self.in_flight += 1
        for limiter in self._limiters:
            limiter.take(now)
        return 0.0

    def answered(self) -> bool:
        """Book one reply; whether it says anything about the time after the last refusal."""
        self.in_flight = max(0, self.in_flight - 1)
        if self._stale:
            self._stale -= 1
            return False
        return True

    def admitted(self, now: float, *, current: bool, useful: bool) -> None:
        """The limit let a request through; only a useful reply may speed anything up."""
        if current:
            self._refusals = 0
            self._fell = False
        if useful:
            self._adaptive.accepted(now)

    def refused(self, hint: float | None, view: LimitView | None, now: float, *, current: bool) -> float:
        """Learn from a 429; how long to pause."""
        spent = view is not None and view.remaining == 0 and view.reset_seconds is not None
        self._adaptive.note_refusal(now)
        if current:
            self._stale = self.in_flight
            if not spent and self._refusals < 2:  # an announced window explains itself
                accident = self._refusals == 0 and self._adaptive.looks_accidental(now, hint or 0.0)
                if not accident and not self._fell:
                    self._adaptive.refused(now, hint or 0.0)
                    self._fell = True
            self._refusals += 1
        if hint:
            return hint
        if spent and view is not None and view.reset_seconds is not None:
            return view.reset_seconds + GRAIN_SECONDS
        return min(_FIRST_BACKOFF_SECONDS * 2.0 ** min(self._refusals - 1, 10), _MAX_BACKOFF_SECONDS)

    def view(self, now: float) -> LaneView:
        rates = [limiter.rate for limiter in (self._pace, self._adaptive, self.window) if limiter]
        rate = min(rates)
        announced = self.window.reset_at > now
        return LaneView(
            rate_per_second=rate if rate < math.inf else None,
            remaining=max(0, int(self.window.remaining)) if announced and self.window.remaining < math.inf else None,
            reset_seconds=self.window.reset_at - now if announced else None,
            left_today=self._quota.left(now) if self._quota else None,
            paused_seconds=max(0.0, self.paused_until - now),
            in_flight=self.in_flight,
        )
