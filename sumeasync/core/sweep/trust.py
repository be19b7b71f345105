"""How far a job list is to be believed: its claims, held against what the jobs themselves answered.

Three kinds of claim are put to the test: a job *shown* as ended, a job *missing* among the active ones, and, as an
audit of what looks settled, a job shown as *active*. The older a test, the less it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sumeasync.core.job import Job
from sumeasync.core.sweep.lag import Lag

__all__ = ["MOST_SINCE", "Claim", "Trust"]

Claim = Literal["shown", "missing", "active"]

FADE = 0.95
FEW, ACCIDENTS = 6.0, 1.5
MOST_WRONG: dict[Claim, float] = {"shown": 0.5, "missing": 0.5, "active": 0.07}
"""The share of wrong claims beyond which a kind is not believed, besides those that just ended in between. That a list
is late is allowed for where it is known (`core/sweep/lag.py`)."""

REASONS: dict[Claim, str] = {
    "shown": "it shows jobs as ended that still run",
    "active": "it shows jobs as active that have ended",
}
MOST_SINCE = 0.05
"""Where more jobs than this end between a claim and its test, an end says nothing of the claim."""

FIRST_MARGIN_SECONDS, LAST_MARGIN_SECONDS = 2.0, 60.0


class Trust:
    """Claims made and settled; `open` are those not settled yet, and when the list was asked, by job id.

    `reason` is set once the list is not to be believed any more, and stays.

    `margin_seconds` is how old a job must be before its absence means anything: lists show new jobs late.
    `wary` says that the last audit found a job ended that was shown as active.
    """

    def __init__(self, lag: Lag) -> None:
        self._lag = lag
        self.reason: str | None = None
        self.margin_seconds = FIRST_MARGIN_SECONDS
        self.open: dict[str, tuple[Claim, float]] = {}
        self._refuted: set[str | None] = set()
        self._tests: dict[Claim, float] = dict.fromkeys(MOST_WRONG, 0.0)
        self._wrong: dict[Claim, float] = dict.fromkeys(MOST_WRONG, 0.0)
        self._expected: dict[Claim, float] = dict.fromkeys(MOST_WRONG, 0.0)
        self.wary = False
        self.right = 0
        self.claims = 0

    def __repr__(self) -> str:
        return f"<Trust {self.right} of {self.claims} claims were right>"

    def believes(self, claim: Claim) -> bool:
        """Whether claims of this kind have been right often enough."""
        allowed = max(ACCIDENTS, MOST_WRONG[claim] * self._tests[claim]) + 2.0 * self._expected[claim]
        return not self.tested(claim) or self._wrong[claim] <= allowed

    def tested(self, claim: Claim) -> bool:
        """Whether there were enough tests of this kind to tell."""
        return self._tests[claim] >= FEW

    def refuted(self, job_id: str | None) -> bool:
        """Whether the list said wrongly that this job has ended, and has not shown it as active since."""
        return job_id in self._refuted

    def shown_active(self, jobs: Iterable[Job]) -> None:
        """The list shows these jobs as active: if it errs about them later, that is another error."""
        if self._refuted:
            self._refuted.difference_update([job.id for job in jobs])

    def claim(self, job_id: str, claim: Claim, at: float = 0.0) -> None:
        """The list, asked for `at` that time, claims this of a job, which will now be asked about itself."""
        self.open[job_id] = claim, at

    def settle(self, job_id: str, *, ended: bool, since: float = 0.0) -> None:
        """The job itself answered that it has ended, or that it has not.

        `since` is the share of jobs like this one that end between the claim and the answer: where that is much, an
        end proves nothing against the list.
        """
        claim = self.open.pop(job_id, (None, 0.0))[0]
        if ended:
            self._refuted.discard(job_id)
        if claim is None or (claim == "active" and ended and since > MOST_SINCE):
            return
        wrong = ended if claim == "active" else not ended
        self._tests[claim] = self._tests[claim] * FADE + 1.0
        self._wrong[claim] = self._wrong[claim] * FADE + wrong
        self._expected[claim] = self._expected[claim] * FADE + since
        if claim != "active":
            self.claims += 1
            self.right += not wrong
            if wrong:
                self._refuted.add(job_id)
        else:
            self.wary = wrong
            self._lag.audited(wrong=wrong)
        if claim == "missing" and wrong:
            self.margin_seconds = min(2.0 * self.margin_seconds, LAST_MARGIN_SECONDS)
        if claim in REASONS and not self.believes(claim):
            self.reason = self.reason or REASONS[claim]

    def distrust(self, reason: str) -> None:
        """Give the list up for another reason."""
        self.reason = self.reason or reason
