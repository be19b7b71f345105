"""What the service saw and charged, for tests and for people who rehearse.

A request whose answer was lost counts like any other.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict

import msgspec

from sumeasync.models import JSON
from sumeasync.simulator.jobs import Job
from sumeasync.simulator.limits import Bucket

__all__ = ["Detection", "Ledger", "body_hash"]


class Detection(msgspec.Struct, frozen=True):
    """When a job ended, and when an answer first showed that; seconds of the world."""

    ended_at: float
    detected_at: float


class Ledger:
    """One world's account.

    Attributes:
        requests: how often each route was asked, such as ``GET /jobs/{id}``, refusals for key or rate left out.
        statuses: how often each HTTP status was answered.
        creates: accepted creates by path; received: how often each create body came, accepted or not.
        accepted: by body hash, the job ids of each accepted create: two entries are a double charge.
        charges: credits reserved for each job created through the API.
        job_requests: polls and results asked for each job; overlaps: jobs that had two requests in flight at once.
        detections: jobs an answer has shown as ended.
        uploads: by object key, the SHA-256 of the stored bytes.
        unauthorized: API requests without an acceptable key.
        key_sightings: media and storage routes that were sent a credential or a cookie.
        times: when the requests of each bucket came, refused ones too.
    """

    def __init__(self) -> None:
        self.requests: defaultdict[str, int] = defaultdict(int)
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.creates: defaultdict[str, int] = defaultdict(int)
        self.received: defaultdict[str, int] = defaultdict(int)
        self.accepted: defaultdict[str, list[list[str]]] = defaultdict(list)
        self.charges: dict[str, int] = {}
        self.job_requests: defaultdict[str, int] = defaultdict(int)
        self.overlaps: defaultdict[str, int] = defaultdict(int)
        self.detections: dict[str, Detection] = {}
        self.uploads: dict[str, str] = {}
        self.unauthorized = 0
        self.key_sightings: list[str] = []
        self.times: dict[Bucket, array[float]] = {"read": array("d"), "create": array("d")}
        self._in_flight: set[str] = set()

    def accept(self, path: str, body: str, jobs: list[Job]) -> None:
        """Note an accepted create: its path, its body's hash, the jobs it is charged for."""
        self.creates[path] += 1
        self.accepted[body].append([job.id for job in jobs])
        self.charges.update({job.id: job.credits for job in jobs})

    def detect(self, jobs: list[Job], now: float) -> None:
        """Note that an answer shows these jobs as ended; only the first time counts."""
        for job in jobs:
            if not job.shown:
                job.shown = True
                self.detections[job.id] = Detection(job.ended_at, now)

    def enter(self, job_id: str) -> bool:
        """Note that a request for the job is being served; False when another one is already."""
        if job_id in self._in_flight:
            self.overlaps[job_id] += 1
            return False
        self._in_flight.add(job_id)
        return True

    def leave(self, job_id: str) -> None:
        """Note that the request that entered is answered."""
        self._in_flight.discard(job_id)

    def busiest(self, bucket: Bucket, seconds: float) -> int:
        """Return the largest number of requests of `bucket` in any half-open window of `seconds`."""
        times = self.times[bucket]
        first = most = 0
        for index, time in enumerate(times):
            while times[first] <= time - seconds:
                first += 1
            most = max(most, index - first + 1)
        return most

    def snapshot(self) -> JSON:
        """Return all of it as a JSON document; request times only as their number."""
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        public["times"] = {bucket: len(times) for bucket, times in self.times.items()}
        public["statuses"] = {str(status): count for status, count in self.statuses.items()}
        document: JSON = msgspec.to_builtins(public)
        return document


def body_hash(path: str, body: JSON) -> str:
    """Return the hex SHA-256 under which a create body is booked; the order of its keys does not matter."""
    return hashlib.sha256(path.encode() + b"\n" + msgspec.json.encode(body, order="deterministic")).hexdigest()
