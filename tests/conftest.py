"""What every test gets: virtual time, Hypothesis profiles, no blocking calls in the loop, no tasks left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from sumeasync.testing import VirtualLoop

settings.register_profile("default", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.register_profile("more", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]]:
    """Run async tests in virtual time; a module that needs real sockets or threads overrides this with "asyncio"."""
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail a test that leaves tasks behind; those that are just ending get one second of the loop's time."""
    yield
    left = [task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())]
    if left:
        _, left = await asyncio.wait(left, timeout=1.0)
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def watched(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Watch async tests for tasks left behind and for calls of the package that block the loop."""
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    request.getfixturevalue("no_task_left")
    with blockbuster_ctx("sumeasync"):
        yield
