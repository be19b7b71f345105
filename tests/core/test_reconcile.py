"""Which listed jobs can be those of a create whose answer was lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.reconcile import candidates, expected_jobs
from sumeasync.models import JobView, Spec

SPEC = Spec("k", "face_swap", {"avatar_ids": ["a", "b"]})


def view(id: str, at: float | None = 100.0, type: str = "face_swap") -> JobView:
    """A job as a list shows it."""
    return JobView(id, "running", "running", type, created_at=at)


@pytest.mark.parametrize(
    ("type", "input", "count"),
    [
        ("face_swap", {"avatar_ids": ["a", "b", "c"]}, 3),
        ("face_swap", {"avatar_ids": []}, 1),
        ("face_swap", {"avatar_ids": "abc"}, 1),
        ("face_swap", {}, 1),
        ("image_generation", {"avatar_ids": ["a", "b"]}, 1),
    ],
)
def test_expected_jobs(type: str, input: dict[str, object], count: int) -> None:
    """A Face Swap makes a job for each avatar, everything else one."""
    assert expected_jobs(Spec("k", type, input)) == count


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (view("x"), True),
        (view("x", type=""), True),
        (view("x", type="image_generation"), False),
        (view("claimed"), False),
        (view("x", None), False),
        (view("x", 88.0), True),
        (view("x", 87.9), False),
        (view("x", 122.0), True),
        (view("x", 122.1), False),
        (view("x", float("nan")), False),
    ],
)
def test_who_is_a_candidate(job: JobView, found: bool) -> None:
    """A job of the type (or of no known type), claimed by nobody, made while the create was open, give or take 2 s."""
    assert candidates([job], SPEC, {"claimed"}, since=90, until=120) == (("x",) if found else ())


def test_oldest_first() -> None:
    """Candidates come in the order in which the server made them."""
    jobs = [view("b", 102), view("c", 101), view("a", 103)]
    assert candidates(jobs, SPEC, (), since=90, until=120) == ("c", "b", "a")


@given(st.lists(st.sampled_from([view("a"), view("b"), view("c", None)])))
def test_a_job_listed_twice_is_one(jobs: list[JobView]) -> None:
    """A job that a list shows twice counts once: two of one are not the two that were expected."""
    found = candidates(jobs, SPEC, (), since=90, until=120)
    assert sorted(found) == sorted({job.id for job in jobs if job.created_at is not None})


def test_the_servers_own_word_counts() -> None:
    """A job whose type the server spells in its own way is a candidate when that way is known to mean the type."""
    listed = [view("x", type="swap"), view("y", type="picture")]
    assert candidates(listed, SPEC, (), since=100.0, until=110.0, words={"swap"}) == ("x",)
