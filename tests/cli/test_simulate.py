from __future__ import annotations

import asyncio
import socket

import pytest

from sumeasync.cli.simulate import account, load_faults, serve_until_stopped
from sumeasync.errors import UsageError
from sumeasync.simulator import PROFILES, World


def test_faults_are_a_profile_by_name():
    """A profile's name gives its rules."""
    assert load_faults("flaky") == PROFILES["flaky"]


def test_faults_are_rules_in_a_file(tmp_path):
    """Any other name is a file of rules."""
    (tmp_path / "rules.json").write_text('[{"on": ["poll"], "do": {"kind": "reset"}}]')
    assert [rule.on for rule in load_faults(str(tmp_path / "rules.json"))] == [frozenset({"poll"})]


def test_faults_that_are_neither_are_refused(tmp_path):
    """A name that is no profile and no readable file is a usage error that names the profiles."""
    for name in ("nope", str(tmp_path), "a\0b"):
        with pytest.raises(UsageError, match=r"profiles \(none, flaky, hostile\) and no file"):
            load_faults(name)


def test_a_port_that_is_taken_is_a_usage_error():
    """When another program has the port, that is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen"):
            asyncio.run(serve_until_stopped(World(), "127.0.0.1", taken.getsockname()[1], 1.0))


def test_the_account_tells_what_was_charged():
    """At the end requests, jobs and credits are counted out."""
    world = World()
    world.ledger.charges.update(job_1=2, job_2=3)
    world.ledger.requests["GET /jobs/{id}"] = 1
    assert account(world).strip() == "served 1 request; 2 jobs created for 5 credits"
