"""Fuzzing by flag: a handful of examples in an ordinary run, as many as there is time for with ``--fuzz-seconds``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VARIABLE = "SUMEASYNC_FUZZ_SECONDS"
HANDFUL = 25
ROUND = 500


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag; it is known when ``tests/fuzz`` is named on the command line."""
    parser.addoption("--fuzz-seconds", type=float, default=None, help=f"seconds for each fuzz test; also {VARIABLE}")


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Call a check with drawn values: ``fuzz(check, strategy, …)``; it fails like any Hypothesis test."""
    given_seconds = request.config.getoption("--fuzz-seconds", default=None)
    seconds = float(os.environ.get(VARIABLE, "0")) if given_seconds is None else given_seconds

    def run(check: Callable[..., object], *drawn: st.SearchStrategy[Any]) -> None:
        options = settings(
            max_examples=ROUND if seconds else HANDFUL,
            deadline=None,
            derandomize=not seconds,
            database=None,
            suppress_health_check=list(HealthCheck),
        )

        @options
        @given(st.tuples(*drawn))
        def example(values: tuple[Any, ...]) -> None:
            check(*values)

        end = time.monotonic() + seconds
        example()
        while time.monotonic() < end:
            example()

    return run
