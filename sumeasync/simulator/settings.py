"""Everything about the simulated service that can be chosen, as frozen values with safe defaults.

Where the vendor documents a behaviour, it is fixed in the code; where the vendor is silent, it is a field here.
All durations are seconds of the simulated clock.
"""

from __future__ import annotations

import math
from random import Random
from typing import Literal

import msgspec

__all__ = ["CreateShape", "Duration", "Limits", "Observed", "StatusWords", "TypeSettings", "WorldSettings"]

CreateShape = Literal["documented", "job.id", "job_id", "jobs", "job_ids", "data.job.id", "data.job_id", "id"]
"""How a create spells the ids of its jobs; ``documented`` is what the vendor shows for each route."""


class Duration(msgspec.Struct, frozen=True, tag="lognormal", tag_field="kind", forbid_unknown_fields=True):
    """A shifted lognormal: nothing is faster than `shift_seconds`, half are slower than `median_seconds`."""

    median_seconds: float
    sigma: float = 0.35
    shift_seconds: float = 0.0

    def draw(self, rng: Random) -> float:
        """Return one duration in seconds: shift + (median - shift) * exp(sigma * N(0, 1))."""
        if self.sigma == 0:
            return self.median_seconds
        return self.shift_seconds + (self.median_seconds - self.shift_seconds) * math.exp(self.sigma * rng.gauss(0, 1))


class Observed(msgspec.Struct, frozen=True, tag="observed", tag_field="kind", forbid_unknown_fields=True):
    """Durations that were seen: each job ended between two ages, of which `spans` has at least one pair.

    `blur` is the standard deviation, on a logarithmic scale, of what others may have taken beside those seen.
    """

    spans: tuple[tuple[float, float], ...]
    blur: float = 0.0

    @property
    def median_seconds(self) -> float:
        """The median of the middles."""
        return 0.5 * sum(sorted(self.spans, key=sum)[len(self.spans) // 2])

    def draw(self, rng: Random) -> float:
        """Return one duration in seconds: any of the spans, evenly within it, and blurred (a smoothed bootstrap)."""
        low, high = rng.choice(self.spans)
        seconds = low + (high - low) * rng.random()
        return seconds * math.exp(self.blur * rng.gauss(0, 1)) if self.blur else seconds


class TypeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One type of job: how long it runs, what it costs, how it may end, and what it produces.

    Rates are probabilities; what they leave completes. `media_bytes` is a minimum, reached by padding.
    """

    run: Duration | Observed
    queue: Duration = Duration(1.0, 0.5)
    credits: int = 1
    failure_rate: float = 0.0
    expiry_rate: float = 0.0
    cancellation_rate: float = 0.0
    media: Literal["png", "mp4"] | None = None
    media_bytes: int = 0


class StatusWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the service spells each state."""

    queued: str = "queued"
    running: str = "running"
    completed: str = "completed"
    failed: str = "failed"
    canceled: str = "canceled"
    expired: str = "expired"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests allowed in each fixed window; None is no limit."""

    reads_per_minute: int | None = None
    reads_per_day: int | None = None
    creates_per_minute: int | None = None
    creates_per_day: int | None = None


DEFAULT_TYPES = {
    "image_generation": TypeSettings(Duration(12, shift_seconds=4), credits=2, media="png"),
    "video_generation": TypeSettings(Duration(90, shift_seconds=30), credits=20, media="mp4"),
    "ads_video": TypeSettings(Duration(150, shift_seconds=50), credits=40, media="mp4"),
    "face_swap": TypeSettings(Duration(60, shift_seconds=20), credits=15, media="mp4"),
    "reference_analysis": TypeSettings(Duration(300, shift_seconds=100), credits=5),
    "asset_ingest": TypeSettings(Duration(20, shift_seconds=6), credits=1),
}


class WorldSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated service. `types` replaces the defaults of the types it names.

    Args:
        concurrency: jobs that may run at once; later ones stay queued, first in first out. None is no limit.
        foreign_every_seconds: somebody else creates a job of `foreign_type` with the same key this often.
        list_ignores: query parameters of the list that have no effect; without ``cursor`` there is one page.
        list_most: a page of the list is never longer, whatever limit is asked for.
        list_lag_seconds: the list shows the world as it was this long ago.
        visible_after_seconds: a new job is unknown (404) to poll and result for this long.
        result_lag_seconds: the result is refused as not completed for this long after completion.
        unready_result: what ``/result`` says of a job that has none: 409, or 200 with the plain job.
        timestamps: which of ``created_at``, ``started_at``, ``completed_at`` a job shows (ISO 8601).
        epoch: Unix time of the simulated second 0.
        recommended_poll_seconds: what the surface ``open`` asks of those who poll.
    """

    types: dict[str, TypeSettings] = {}
    limits: Limits = Limits()
    words: StatusWords = StatusWords()
    credits: int = 1_000_000
    concurrency: int | None = None
    create_shape: CreateShape = "documented"
    create_status: int = 200
    list_order: Literal["newest", "oldest", "random"] = "newest"
    list_ignores: frozenset[Literal["limit", "cursor", "type", "status"]] = frozenset()
    list_most: int = 100
    list_lag_seconds: float = 0.0
    visible_after_seconds: float = 0.0
    result_lag_seconds: float = 0.0
    unready_result: Literal["conflict", "job"] = "conflict"
    timestamps: Literal["none", "created", "all"] = "created"
    epoch: float = 1_767_225_600.0
    foreign_every_seconds: float | None = None
    foreign_type: str = "image_generation"
    link_seconds: float = 900.0
    upload_link_seconds: float = 300.0
    presign_bucket: Literal["read", "create"] = "read"
    thumbnails: bool = False
    decoy_urls: bool = True
    recommended_poll_seconds: float | None = None

    def of(self, kind: str) -> TypeSettings:
        """Return the settings of a type; an unknown type behaves as a video."""
        return self.types.get(kind) or DEFAULT_TYPES.get(kind) or DEFAULT_TYPES["video_generation"]
