"""How many connections and files are opened at once, by how many the system allows."""

from __future__ import annotations

import errno
import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.settings import Settings
from sumeasync.errors import StorageError
from sumeasync.io.handles import LEAST, RESERVE, TRANSFER, fit, free_handles

COUNTS = st.integers(1, 500)


@given(reads=COUNTS, creates=COUNTS, transfers=COUNTS, free=st.integers(RESERVE + LEAST, 3000))
def test_what_is_opened_fits(reads: int, creates: int, transfers: int, free: int) -> None:
    """All that is open at once fits beside the reserve; nothing is raised, nor lowered without need, nor to nothing."""
    wanted = Settings(reads=reads, creates=creates, transfers=transfers)
    given = fit(wanted, free)
    assert given.reads + given.creates + TRANSFER * given.transfers <= free - RESERVE
    assert 1 <= given.reads <= reads
    assert 1 <= given.creates <= creates
    assert 1 <= given.transfers <= transfers
    if reads + creates + TRANSFER * transfers <= free - RESERVE:
        assert given is wanted


@pytest.mark.parametrize("free", [-3, 0, RESERVE + LEAST - 1])
def test_too_few_are_refused(free: int) -> None:
    """Where not one of each would fit the error says what is needed, and how to allow it."""
    with pytest.raises(StorageError, match=f"needs {RESERVE + LEAST} more") as caught:
        fit(Settings(), free)
    assert caught.value.errno == errno.EMFILE
    assert "ulimit -n" in caught.value.hint


def test_what_is_open_counts() -> None:
    """Each file opened leaves one fewer."""
    before = free_handles()
    handle = os.open(os.devnull, os.O_RDONLY)
    assert free_handles() == before - 1
    os.close(handle)
    assert 0 < before < resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_without_a_list_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not list what is open, a typical number is taken off."""
    monkeypatch.setattr("sumeasync.io.handles.FOLDERS", ())
    assert free_handles() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 32


def test_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no limit nothing is lowered."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wanted = Settings(reads=5000)
    assert fit(wanted, free_handles()) is wanted
