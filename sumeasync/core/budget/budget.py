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

from sumeasync.core.budget.adaptive import Adaptive
from sumeasync.core.budget.pace import Pace, Quota
from sumeasync.core.budget.retryafter import MAX_RETRY_AFTER_SECONDS, LimitView, rate_limit, retry_after_seconds
from sumeasync.core.budget.window import GRAIN_SECONDS, Window
from sumeasync.errors import SettingsError
from sumeasync.models import Lane

__all__ = ["Budget", "LaneView", "Rate"]

_LANES: tuple[Lane, ...] = ("read", "create", "media")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|m|min|h|d)\s*")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_PROBE_SECONDS = 0.25  # while one request's answer is awaited
_MAX_BACKOFF_SECONDS = 60.0
_FIRST_AT_ONCE, _MORE_AT_ONCE = 8.0, 1.0 / 16  # open at first, and more with each answer, while no limit is known
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

    `read` and `create` are kept as an even pace; `read_day` and `create_day` may be spent as fast as the pace
    allows. A lane without a rate is free until the server announces a limit or refuses, but for how many requests are
    open: 8 at first, and one more for every 16 useful answers (not for media). A configured limit is never
    exceeded in any window; an announced one by at most 5 %, where its windows meet, and never in the server's own.
    """

    def __init__(
        self,
        *,
        read: Rate | None = None,
        create: Rate | None = None,
        read_day: Rate | None = None,
        create_day: Rate | None = None,
    ) -> None:
        self._lanes: dict[Lane, _Lane] = {
            "read": _Lane(read, read_day),
            "create": _Lane(create, create_day),
            "media": _Lane(None, None, wary=False),  # what it brings is nothing of the API's limits
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
        if view is not None or state.window is not None:
            self._settle(state, view, now, refused=status == 429)
        if status is None or status >= 500 or status == 429:
            hint = retry_after_seconds(headers.get("retry-after"), wall_now)
            if status == 429:
                self.pause(lane, state.refused(hint, view, now), now)
                return
            state.answered()
            if status == 503 and hint:
                self.pause(lane, hint, now)
        else:
            state.admitted(now, useful=status < 400 or status == 409)  # 409: not yet, a poll's answer

    def left(self, lane: Lane, now: float) -> float:
        """How many requests are left of the day's allowance, be it set or announced; infinite where there is none."""
        return self._lanes[lane].left(now)

    def pause(self, lane: Lane, seconds: float, now: float) -> None:
        """Let nothing of `lane` go for `seconds` (at most an hour), nor of a lane known to share its bucket."""
        until = now + min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)
        paused = self._lanes[lane]
        for state in self._lanes.values():
            if state is paused or (state.window is not None and state.window is paused.window):
                state.paused_until = max(state.paused_until, until)

    def snapshot(self, now: float) -> dict[Lane, LaneView]:
        """How every lane stands, for display."""
        return {lane: state.view(now) for lane, state in self._lanes.items()}

    def _settle(self, state: _Lane, view: LimitView | None, now: float, *, refused: bool) -> None:
        """Book the announcement, and find out whether lanes are paid from one bucket."""
        window = state.window
        if window is None:
            if refused or view is None or view.remaining is None or view.reset_seconds is None:
                return  # who speaks only when refusing tells the rest of a window, and of no other
            window = state.follow(Window(state.in_flight, now))
        others = [other for other in self._lanes.values() if other is not state and other.window is not None]
        if others and any(other.window is window for other in others) and window.denies(view, now):
            window.in_flight -= state.in_flight
            window.alone = True
            window = state.follow(Window(state.in_flight, now, alone=True))
        window.answered(view, now, refused=refused)
        for other in others:
            if other.window is not None and other.window is not window and other.window.matches(window):
                window.absorb(other.window)
                other.follow(window)


class _Lane:
    """One lane's limiters, and what is known of its requests in flight."""

    def __init__(self, pace: Rate | None, day: Rate | None, *, wary: bool = True) -> None:
        self._pace = Pace(pace.limit, pace.seconds) if pace else None
        self.quota = Quota(day.limit, day.seconds) if day else None
        self._adaptive = Adaptive()
        self.window: Window | None = None
        self.paused_until = -math.inf
        self.in_flight = 0
        self._most = _FIRST_AT_ONCE if wary and pace is None else math.inf  # at once, while no limit is known
        self._row = 0  # refusals of requests each sent after the one before was refused
        self._stale = 0  # requests still in flight from before the last refusal: their answers tell nothing new
        self._choose()

    def follow(self, window: Window) -> Window:
        """Be held by this announced window, and no other; the first one replaces what was guessed."""
        if self.window is None:
            self._adaptive = Adaptive()
        self.window = window
        self._choose()
        return window

    def _choose(self) -> None:
        adaptive = self._adaptive if self._adaptive.rate < math.inf else None
        if adaptive or self.window:
            self._most = math.inf
        limiters = (self._pace, self.quota, adaptive, self.window)
        self._limiters = tuple(limiter for limiter in limiters if limiter)

    def left(self, now: float) -> float:
        quota, window = self.quota, self.window
        announced = math.inf if window is None else window.allowance(now)
        return announced if quota is None else min(announced, quota.left(now))

    def reserve(self, now: float) -> float:
        at = self.paused_until
        for limiter in self._limiters:
            if limiter.next_at > at:
                at = limiter.next_at
        if at - now > _EARLY_SECONDS:
            return at - now
        if self.in_flight >= (self._stale + 1 if self._row else self._most):
            return _PROBE_SECONDS
        self.in_flight += 1
        for limiter in self._limiters:
            limiter.take(now)
        return 0.0

    def answered(self) -> bool:
        """Book one reply; whether it says anything about the time after the last refusal."""
        if self.in_flight:
            self.in_flight -= 1
        if self._stale:
            self._stale -= 1
            return False
        return True

    def admitted(self, now: float, *, useful: bool) -> None:
        """The limit let a request through; only a useful reply may speed anything up."""
        if not self._row and not self._stale:  # most answers
            self.in_flight -= self.in_flight > 0
        elif self.answered() and self._row:
            self._adaptive.recovered(now, self._row)
            self._row = 0
            self._choose()
        if useful:
            self._adaptive.accepted(now)
            self._most += _MORE_AT_ONCE

    def refused(self, hint: float | None, view: LimitView | None, now: float) -> float:
        """Learn from a 429; how long to pause."""
        if self.answered():
            self._row += 1
            self._stale = self.in_flight
        if not hint and view is not None and view.remaining == 0 and view.reset_seconds is not None:
            hint = view.reset_seconds + GRAIN_SECONDS
        if self.window is None or view is None or view.remaining != 0:  # else it explains itself
            self._adaptive.refused(now, hint or 0.0)
        return hint or min(2.0 ** min(self._row - 1, 10), _MAX_BACKOFF_SECONDS)

    def view(self, now: float) -> LaneView:
        rate = min((limiter.rate for limiter in (self._pace, self._adaptive, self.window) if limiter), default=math.inf)
        window = self.window if self.window is not None and self.window.reset_at > now else None
        return LaneView(
            rate_per_second=rate if rate < math.inf else None,
            remaining=max(0, int(window.remaining)) if window else None,
            reset_seconds=window.reset_at - now if window else None,
            left_today=self.quota.left(now) if self.quota else None,
            paused_seconds=max(0.0, self.paused_until - now),
            in_flight=self.in_flight,
        )
