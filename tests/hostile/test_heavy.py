"""What is made to fill memory or time does neither; measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = Path(__file__).with_name("heavy.py")
SMALL = ("endless poll", "endless result", "endless create", "endless media")
BOMBS = ("bomb at poll", "bomb at result", "bomb at create", "bomb at download", "deep", "many digits")
WIDE = ("many numbers", "many links", "wide list")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "megabytes"), [(SMALL, 40), (BOMBS, 80), (WIDE, 160)], ids=["small", "bombs", "wide"]
)
def test_memory_and_time_are_bounded(names: tuple[str, ...], megabytes: float) -> None:
    """Gibibytes on the wire, bombs and very wide documents end as outcomes, in little memory and on little disk."""
    done = subprocess.run([sys.executable, HEAVY, *names], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for took in json.loads(done.stdout):
        assert took["outcomes"] == 2, took
        assert took["megabytes"] < megabytes, took
        assert took["seconds"] < 15, took
        assert took["disk"] < 32 << 20, took
