"""What values know of themselves."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from sumeasync import models
from sumeasync.models import (
    ASSET_INGEST,
    KINDS,
    UNSETTLED,
    Failure,
    Link,
    Outcome,
    OutcomeStatus,
    Request,
    Response,
    Spec,
)

ERROR = Failure("x", "y")
STRUCTS = [name for name in models.__all__ if hasattr(getattr(models, name), "__struct_config__")]


def outcome(status: OutcomeStatus, error: Failure | None = None) -> Outcome:
    """An outcome of a job."""
    return Outcome("k", "job_1", "image_generation", status, error=error)


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("completed", True),
        ("failed", True),
        ("canceled", True),
        ("expired", True),
        ("rejected", True),
        ("timed_out", False),
        ("unknown", False),
    ],
)
def test_final(status: OutcomeStatus, final: bool) -> None:
    """A job that may still run, or a create that may have been paid, is not the end of it."""
    assert outcome(status).final is final
    assert outcome(status, ERROR).final is final


@pytest.mark.parametrize("code", UNSETTLED["rejected"])
def test_a_spec_refused_here_is_not_final(code: str) -> None:
    """What was refused before anything was sent can be mended and run; the same code from the server cannot."""
    assert not outcome("rejected", Failure(code)).final
    assert outcome("failed", Failure(code)).final


@pytest.mark.parametrize("status", get_args(OutcomeStatus))
def test_ok(status: OutcomeStatus) -> None:
    """Only a job that completed without anything amiss is ok."""
    assert outcome(status).ok is (status == "completed")
    assert not outcome(status, ERROR).ok


@pytest.mark.parametrize("name", STRUCTS)
def test_values_do_not_change(name: str) -> None:
    """Every value is frozen."""
    assert getattr(models, name).__struct_config__.frozen


def test_the_known_kinds() -> None:
    """Six kinds of work, one of which is an upload."""
    assert len(set(KINDS)) == 6
    assert ASSET_INGEST in KINDS


def test_an_outcome_is_read_back() -> None:
    """An outcome survives its line of JSON."""
    one = msgspec.structs.replace(outcome("failed", ERROR), result={"a": [1]}, polls=3)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Outcome) == one


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Spec("k", "face_swap", {"prompt": "SECRET"}, file="/SECRET"), "<Spec k face_swap>"),
        (Spec("k", job_id="job_1"), "<Spec k of any type>"),
        (
            Request("POST", "/x", query=(("q", "SECRET"),), body="SECRET", headers=(("a", "SECRET"),)),
            "<Request POST /x>",
        ),
        (Response(200, "SECRET", {"a": "SECRET"}), "<Response 200>"),
        (Link("/SECRET", "https://h.io/?SECRET"), "<Link>"),
        (Outcome("k", None, "t", "failed", result="SECRET"), "<Outcome k no job failed, 0 files>"),
        (Outcome("k", "job_1", "t", "failed", result="SECRET"), "<Outcome k job_1 failed, 0 files>"),
    ],
)
def test_values_do_not_show_what_they_hold(value: object, shown: str) -> None:
    """A value says which one it is, and nothing of payloads, links and headers."""
    assert repr(value) == shown


def test_specs_are_small() -> None:
    """A million specs are not walked by the garbage collector."""
    assert Spec.__struct_config__.gc is False
