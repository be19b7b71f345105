"""How far a job list is to be believed: its claims, held against what the jobs themselves answered.

Two kinds of claim are put to the test: a job *shown* as ended, and a job *missing* among the active ones. The older a
test, the less it counts. As an audit of what looks settled a job shown as *active* is asked as well. If it has ended,
it may just have: what proves an error is a later page that shows it as active still (`core/sweep/lag.py`).

However good the list, no job counts as seen for ever because of it: each is asked about itself now and then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from sumeasync.core.job import NEVER, Job
from sumeasync.core.sweep.lag import Lag

__all__ = ["REASONS", "Claim", "Trust"]

Claim = Literal["shown", "missing", "active"]

FADE = 0.95
FEW, ACCIDENTS = 6.0, 1.5
MOST_WRONG = 0.5
"""The share of wrong claims beyond which a kind is not believed."""

WRONG_JOBS = 2
"""So many jobs shown as active long after their end are proof; of a list that has never shown an end, one is."""

REASONS: dict[Claim, str] = {
    "shown": "it shows jobs as ended that still run",
    "active": "it shows jobs as active that have ended",
}

FIRST_MARGIN_SECONDS, LAST_MARGIN_SECONDS = 2.0, 60.0

PROVEN, SAMPLED, MOST = 5, 6, 8.0
"""A job is asked about itself after so many times `own_seconds`; one in six or so after one, before so many ends were
as the list had them."""


class Trust:
    """Claims made and settled; `open` are those not settled yet, by job id.

    `reason` is set once the list is not to be believed any more, and stays.

    `margin_seconds` is how old a job must be before its absence means anything: lists show new jobs late.
    `own_seconds` is how long a job that was asked itself may go without before the list is proven; `samples` is
    whether it is not proven yet, and there are jobs enough to try it by some of them.
    """

    def __init__(self, lag: Lag) -> None:
        self._lag = lag
        self.reason: str | None = None
        self.margin_seconds = FIRST_MARGIN_SECONDS
        self.own_seconds = math.inf
        self.samples = False
        self.open: dict[str, Claim] = {}
        self._refuted: set[str | None] = set()
        self._tests: dict[Claim, float] = {"shown": 0.0, "missing": 0.0}
        self._wrong = dict(self._tests)
        self.right = 0
        self.claims = 0

    def __repr__(self) -> str:
        return f"<Trust {self.right} of {self.claims} claims were right>"

    def believes(self, claim: Claim) -> bool:
        """Whether claims of this kind have been right often enough."""
        return not self.tested(claim) or self._wrong[claim] <= max(ACCIDENTS, MOST_WRONG * self._tests[claim])

    def tested(self, claim: Claim) -> bool:
        """Whether there were enough tests of this kind to tell."""
        return self._tests[claim] >= FEW

    def refuted(self, job_id: str | None) -> bool:
        """Whether the list said wrongly that this job has ended, and has not shown it as active since."""
        return job_id in self._refuted

    @property
    def sure_seconds(self) -> float:
        """For so long after its own last answer any job may count as seen."""
        return self.own_seconds if self.samples else MOST * self.own_seconds

    def covered_until(self, job: Job) -> float:
        """Until when the job may count as seen because the list shows it."""
        if job.asked == NEVER:
            return math.inf
        sampled = self.samples and ord((job.id or " ")[-1]) % SAMPLED == 0
        return job.asked + (self.own_seconds if sampled else MOST * self.own_seconds)

    def shown_active(self, jobs: Iterable[Job]) -> None:
        """The list shows these jobs as active: if it errs about them later, that is another error."""
        if self._refuted:
            self._refuted.difference_update([job.id for job in jobs])

    def claim(self, job_id: str, claim: Claim) -> None:
        """The list claims this of a job, which will now be asked about itself."""
        self.open[job_id] = claim

    def settle(self, job_id: str, *, ended: bool) -> None:
        """The job itself answered that it has ended, or that it has not."""
        claim = self.open.pop(job_id, None)
        if ended:
            self._refuted.discard(job_id)
        if claim == "active" and not ended:
            self._lag.forgive()
        if claim is None or claim == "active":
            return
        self._tests[claim] = self._tests[claim] * FADE + 1.0
        self._wrong[claim] = self._wrong[claim] * FADE + (not ended)
        self.claims += 1
        self.right += ended
        if ended:
            return
        self._refuted.add(job_id)
        if claim == "missing":
            self.margin_seconds = min(2.0 * self.margin_seconds, LAST_MARGIN_SECONDS)
        if claim in REASONS and not self.believes(claim):
            self.reason = self.reason or REASONS[claim]

    def weigh(self) -> None:
        """Give the list up if it has shown too many jobs as active long after they told their end."""
        if self._lag.wrong >= (WRONG_JOBS if self.right else 1):
            self.distrust(REASONS["active"])

    def distrust(self, reason: str) -> None:
        """Give the list up for another reason."""
        self.reason = self.reason or reason
