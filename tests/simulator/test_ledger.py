"""The ledger."""

from __future__ import annotations

import json

from sumeasync.simulator import Detection, Ledger, World, body_hash


def test_first_detection_is_kept() -> None:
    """A job is detected once, by the first answer that showed its end."""
    world = World()
    job = world.create("image_generation", ("",), 0)[0]
    world.ledger.detect([job], 50)
    world.ledger.detect([job], 60)
    assert world.ledger.detections == {job.id: Detection(job.ended_at, 50)}


def test_overlaps() -> None:
    """Two requests for one job at once are noted; one after the other are not."""
    ledger = Ledger()
    assert ledger.enter("job_1")
    assert not ledger.enter("job_1")
    ledger.leave("job_1")
    assert ledger.enter("job_1")
    assert ledger.overlaps == {"job_1": 1}


def test_busiest_window() -> None:
    """The busiest window counts what lies less than its length apart."""
    ledger = Ledger()
    ledger.times["read"].extend([0, 30, 59.9, 60, 61, 200])
    assert ledger.busiest("read", 60) == 4
    ledger.times["create"].extend([0, 60])
    assert ledger.busiest("create", 60) == 1


def test_body_hash_ignores_key_order() -> None:
    """The order of a body's keys does not matter; its values and its path do."""
    assert body_hash("/a", {"x": 1, "y": 2}) == body_hash("/a", {"y": 2, "x": 1})
    assert len({body_hash("/a", {"x": 1}), body_hash("/a", {"x": 2}), body_hash("/b", {"x": 1})}) == 3


def test_snapshot_is_json() -> None:
    """The snapshot is plain JSON."""
    world = World()
    jobs = world.create("face_swap", ("a", "b"), 0)
    world.ledger.accept("/face-swap", "hash", jobs)
    world.ledger.detect(jobs, 99)
    shown = json.loads(json.dumps(world.ledger.snapshot()))
    assert shown["accepted"] == {"hash": [[job.id for job in jobs]]}
    assert shown["charges"] == {job.id: 15 for job in jobs}
    assert shown["detections"][jobs[0].id]["detected_at"] == 99
