"""A job under way."""

from __future__ import annotations

import gc

from sumeasync.core.job import LANES, NAMES, Job, Product, Step
from sumeasync.models import Link, Spec


def test_repr_says_where_a_job_stands() -> None:
    """A job shows its id, step and key, and nothing of its input."""
    spec = Spec("hero", "image_generation", {"prompt": "secret"})
    assert repr(Job(spec)) == "<Job to be created create key=hero>"
    assert repr(Job(spec, Step.POLL, "job_1")) == "<Job job_1 poll key=hero>"


def test_a_product_says_how_far_it_is() -> None:
    """What a job brought home shows as counts, without payload or links."""
    product = Product({"prompt": "secret"}, (Link("/a", "https://h.io/?secret"),))
    assert repr(product) == "<Product, 0 of 1 files>"


def test_jobs_are_compared_by_identity() -> None:
    """Two jobs are never equal: they are kept in sets and queues by who they are."""
    spec = Spec("k")
    assert Job(spec) != Job(spec)
    assert len({Job(spec), Job(spec)}) == 2


def test_every_step_with_a_request_has_a_lane() -> None:
    """The step's number finds its lane and its name; a create is paid as one, bytes as media, all else as reads."""
    paid = {NAMES[step]: LANES[step] for step in Step}
    assert [name for name in paid if paid[name] == "create"] == ["create"]
    assert [name for name in paid if paid[name] == "media"] == ["save", "upload"]
    reads = ["result", "reconcile", "presign", "poll", "cancel", "sweep"]
    assert [name for name in paid if paid[name] == "read"] == reads


def test_jobs_cost_the_collector_nothing() -> None:
    """A million jobs are not walked by the garbage collector."""
    assert not gc.is_tracked(Job(Spec("k")))
