"""Creates that were paid and whose answer was lost, from the command line."""

from __future__ import annotations

import pytest

from .support import Bench, check, check_nothing_left, images, mixed, serving, world

pytestmark = pytest.mark.slow

UNKNOWN = 6
LOST = {
    "image_generation": {"kind": "reset", "act": True},
    "video_generation": {"kind": "status", "status": 502, "act": True},
    "ads_video": {"kind": "body", "text": "", "act": True},
    "face_swap": {"kind": "patch", "drop": ["job", "job_id", "jobs", "job_ids", "id"]},
    "reference_analysis": {"kind": "truncate", "fraction": 0.5},
    "asset_ingest": {"kind": "reset", "act": True},
}


def test_lost_answers_are_found_in_the_list(tmp_path):
    """However the answer to a create of any type is lost, its jobs are adopted in the same run and charged once."""
    rules = [{"on": ["create", "finalize"], "type": kind, "nth": 1, "do": do} for kind, do in LOST.items()]
    with serving(rules=rules) as server:
        bench = Bench(tmp_path, server, mixed(12, tmp_path))
        done = bench.run()
        assert done.returncode == 0, done.stderr
        assert server.ledger()["requests"]["GET /jobs"] >= len(LOST)
        check(bench)
        check_nothing_left(bench)


def test_a_stale_list_leaves_it_to_the_user(tmp_path):
    """A create cut off by a kill, and a list that lags: exit code 6, no second charge until --recreate-unknown."""
    late = {"on": ["create"], "nth": 1, "do": {"kind": "delay", "seconds": 30}}
    with serving(world(list_lag_seconds=3600), [late]) as server:
        bench = Bench(tmp_path, server, [images(1)[0] | {"deadline_seconds": 6}])
        with bench.started() as process:
            bench.await_creates(1)
            process.kill()
        done = bench.run()
        assert done.returncode == UNKNOWN, done.stderr
        assert "img-0" in done.stderr
        assert [one["key"] for one in bench.status()["unknown"]] == ["img-0"]
        check(bench, unknown=["img-0"])
        assert bench.run("--recreate-unknown").returncode == 0
        assert len(server.ledger()["charges"]) == 2
        check(bench, charges=2)
        check_nothing_left(bench)
