"""What a plan tells, as a value and in words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import msgspec

from sumeasync.cli.wording import bytes_text, count, counts_text, seconds_text, table
from sumeasync.core import redact

__all__ = ["Forecast", "Range", "TypeForecast", "describe"]

MAX_REASONS = 5


class Range(msgspec.Struct, frozen=True):
    """The first, the middle and the last of several numbers."""

    low: float
    middle: float
    high: float


class TypeForecast(msgspec.Struct, frozen=True):
    """One type of job: how many will be created, how long one takes; `learned_from` 0 jobs means: assumed.

    `starts_seen` is how many of those were seen to wait at the server and then to start.
    """

    jobs: int
    median_seconds: float
    learned_from: int = 0
    starts_seen: int = 0


class Forecast(msgspec.Struct, frozen=True):
    """What a batch will take. Times are seconds from `begin` (epoch seconds), `…_share` parts of what a rate allows.

    `finish_seconds` are of all `rehearsals`, everything else is of the one that finished in the middle. `refused`
    counts specs that never become a job by the reason; `adopted` are those that name a job of unknown type and age.
    `media_bytes` and `credits` stand only by types for which something is known.
    """

    specs: int
    skipped: int
    begin: float
    rehearsals: int
    latency_seconds: float
    finish_seconds: Range
    result_seconds: Range | None
    outcomes: Mapping[str, int]
    refused: Mapping[str, int]
    requests: Mapping[str, int]
    requests_per_job: float | None
    rate_limited: int
    read_rate: str | None
    create_rate: str | None
    read_share: float | None
    create_share: float | None
    concurrency: int | None
    peak_in_flight: int
    detection_seconds: Mapping[str, float]
    types: Mapping[str, TypeForecast]
    adopted: int
    media_bytes: Mapping[str, int]
    credits: Mapping[str, float]

    @property
    def jobs(self) -> int:
        """How many jobs will be created."""
        return sum(type.jobs for type in self.types.values())


def describe(forecast: Forecast) -> list[str]:
    """The forecast for readers: figures, types, and what was assumed."""
    if not forecast.outcomes:
        return [
            f"{count(forecast.specs, 'spec')}, {forecast.skipped:,} of them finished earlier: nothing is left to do"
        ]
    facts = [(name, text) for name, text in _facts(forecast) if text]
    width = max(len(name) for name, _ in facts)
    rows = [
        (redact.escape(name), f"{type.jobs:,}", seconds_text(type.median_seconds), _source(type))
        for name, type in forecast.types.items()
    ]
    types = ["", *table(("type", "new jobs", "median", "duration"), rows)] if rows else []
    return [
        *(f"{name:<{width}}  {text}" for name, text in facts),
        *types,
        "",
        *(f"- {note}" for note in _notes(forecast)),
    ]


def _facts(forecast: Forecast) -> Iterator[tuple[str, str]]:
    done = f"; {forecast.skipped:,} of them finished earlier" if forecast.skipped else ""
    yield "plan", f"{count(forecast.specs, 'spec')}{done}; {count(forecast.jobs, 'job')} to create"
    yield "finish", _finish(forecast)
    if forecast.result_seconds is not None:
        results = forecast.result_seconds
        yield "results", f"the first after {seconds_text(results.low)}, half after {seconds_text(results.middle)}"
    yield "outcomes", counts_text(forecast.outcomes)
    for reason, number in list(forecast.refused.items())[:MAX_REASONS]:
        yield "  refused", f"{number:,}: {redact.text(reason)}"
    yield "requests", _requests(forecast)
    yield "read rate", _rate(forecast.read_rate, forecast.read_share)
    yield "create rate", _rate(forecast.create_rate, forecast.create_share)
    yield "in flight", f"{count(forecast.peak_in_flight, 'job')} at most" if forecast.peak_in_flight else ""
    if delay := forecast.detection_seconds:
        yield "noticed", f"{delay['median']:.1f} s after a job has ended (median), {delay['p95']:.1f} s (95 %)"
    yield "media", f"about {bytes_text(sum(forecast.media_bytes.values()))} to save" if forecast.media_bytes else ""
    yield "cost", f"{sum(forecast.credits.values()):g} credits" if forecast.credits else ""


def _finish(forecast: Forecast) -> str:
    seconds = forecast.finish_seconds
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(forecast.begin + seconds.middle))
    text = f"{seconds_text(seconds.middle)} from now: {at}"
    if forecast.rehearsals > 1:
        spread = f"{seconds_text(seconds.low)} to {seconds_text(seconds.high)}"
        text += f" ({spread} in {forecast.rehearsals} rehearsals)"
    return text


def _requests(forecast: Forecast) -> str:
    kinds = ", ".join(count(number, kind) for kind, number in sorted(forecast.requests.items()))
    each = f"; {forecast.requests_per_job:.1f} a job" if forecast.requests_per_job is not None else ""
    limited = f"; {forecast.rate_limited:,} refused by the rate limit" if forecast.rate_limited else ""
    total = sum(forecast.requests.values())
    return f"{total:,} ({kinds}){each}{limited}" if total else "none"


def _rate(rate: str | None, share: float | None) -> str:
    return "" if rate is None else f"{rate}, {share:.0%} of it used" if share is not None else rate


def _source(type: TypeForecast) -> str:
    return f"learned from {count(type.learned_from, 'job')}" if type.learned_from else "assumed"


def _notes(forecast: Forecast) -> Iterator[str]:
    """What the figures rest on."""
    yield (
        f"simulated: every request takes {forecast.latency_seconds:g} s, nothing fails, nobody else uses the key; "
        "nothing was sent"
    )
    if forecast.read_rate is None and forecast.create_rate is None:
        yield (
            "no limit given: as fast as the server allows; the published limits are 120 reads and 10 creates a minute: "
            "--read-rate 120/m --create-rate 10/m"
        )
    if any(not type.learned_from for type in forecast.types.values()):
        yield (
            "assumed durations are typical ones; they are learned from an earlier run with 8 jobs of the type: "
            "--learn-from DIR, or its --out"
        )
    if forecast.adopted:
        yield f"{count(forecast.adopted, 'job')} named by id: taken for videos that have just begun"
    if forecast.concurrency is None and forecast.peak_in_flight > 1:
        yield "all jobs are taken to run at once; if the plan bounds how many do: --concurrency N"
    elif forecast.concurrency is not None and (types := _unstarted(forecast)):
        yield (
            f"no job was seen to start of {', '.join(types)}: what is learned of it holds the time that jobs waited at "
            "the server, if they did, which --concurrency adds once more"
        )
    yield "media are not transferred here: saving them takes longer" + (
        "" if forecast.media_bytes else "; how much there will be is learned from an earlier run (--out)"
    )
    unpriced = [
        redact.escape(type) for type, seen in forecast.types.items() if seen.jobs and type not in forecast.credits
    ]
    if unpriced:
        yield f"no cost is known of {', '.join(unpriced)}: --cost TYPE=CREDITS"


def _unstarted(forecast: Forecast) -> list[str]:
    """The types of which durations are learned, but only from the creation of jobs."""
    return [redact.escape(name) for name, type in forecast.types.items() if type.learned_from and not type.starts_seen]
