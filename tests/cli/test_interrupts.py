from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from sumeasync.cli.interrupts import Interrupts

TWICE = """
import os, signal
from sumeasync.cli.interrupts import Interrupts
with Interrupts(hidden_cursor=True).watched():
    os.kill(os.getpid(), signal.{first})
    os.kill(os.getpid(), signal.{second})
print("still here")
"""


@pytest.fixture
def anyio_backend():
    """Signals arrive in real time."""
    return "asyncio"


async def test_the_first_signal_acts_in_the_loop():
    """The first signal calls the action and gives the exit code."""
    acted = asyncio.Event()
    interrupts = Interrupts(hidden_cursor=False)
    with interrupts.watched():
        interrupts.attach(acted.set)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(acted.wait(), 5)
    assert interrupts.exit_code == 143


async def test_a_signal_before_there_is_something_to_stop_is_remembered():
    """A signal that came early acts as soon as an action is attached."""
    interrupts = Interrupts(hidden_cursor=False)
    with interrupts.watched():
        os.kill(os.getpid(), signal.SIGINT)
        acted = []
        interrupts.attach(lambda: acted.append(1))
    assert acted == [1]


def test_handlers_are_put_back():
    """Afterwards the signals do what they did before."""
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(hidden_cursor=False).watched():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_ignored_signal_stays_ignored():
    """Under nohup a hang-up stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(hidden_cursor=False).watched():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_signal_there_is_no_exit_code():
    """An undisturbed run exits by its report."""
    assert Interrupts(hidden_cursor=False).exit_code is None


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second", "code"), [("SIGINT", "SIGINT", 130), ("SIGTERM", "SIGINT", 143)])
def test_the_second_signal_leaves_at_once(first, second, code):
    """The second signal ends the process with the first one's code, and gives the cursor back."""
    script = TWICE.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"\x1b[?25h")
