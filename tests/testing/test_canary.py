"""The canary: its texts are found in every disguise, and nowhere else."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core import redact
from sumeasync.testing import MemoryDisk
from sumeasync.testing.canary import Canary, disk_sightings, sightings

BIRD = Canary()
DISGUISES = {
    "plain": str,
    "swapped case": str.swapcase,
    "percent": lambda text: quote(text, safe=""),
    "double percent": lambda text: quote(quote(text, safe=""), safe=""),
    "percent of all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JSON": json.dumps,
    "JSON twice": lambda text: json.dumps(json.dumps(text)),
    "JSON escapes": lambda text: "".join(f"\\u{ord(char):04X}" for char in text),
    "hex": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("secret", BIRD.all())
def test_found_in_disguise(secret: str, disguise: str) -> None:
    """Every text is found in every disguise, with others around it."""
    data = f"before {DISGUISES[disguise](secret)} after".encode()
    assert any(seen.startswith(secret) for seen in sightings(data, BIRD.all()))


@given(st.binary(max_size=8), st.binary(max_size=8), st.sampled_from(BIRD.all()))
def test_found_inside_base64(before: bytes, after: bytes, secret: str) -> None:
    """A text is found at each alignment inside a longer base64."""
    assert sightings(base64.b64encode(before + secret.encode() + after), [secret])


@given(st.text(max_size=200))
def test_not_found_where_it_is_not(text: str) -> None:
    """An ordinary text holds none."""
    assert sightings(text.encode(errors="replace"), BIRD.all()) == []


def test_link_holds_the_link_secret() -> None:
    """The canary's link is signed with its secret."""
    assert sightings(BIRD.link.encode(), [BIRD.link_secret])


@pytest.mark.parametrize("secret", [BIRD.key, BIRD.link, BIRD.email, BIRD.workspace])
def test_redaction_knows_the_canary(secret: str) -> None:
    """What a canary is made of is what redaction hides by shape alone."""
    assert sightings(redact.text(f"it said {secret}").encode(), BIRD.all()) == []


async def test_found_on_a_disk() -> None:
    """Content and names of files are searched; files may be left out."""
    disk = MemoryDisk()
    for path, data in (("a.log", BIRD.key.encode()), (f"media/{BIRD.workspace}", b""), ("ok", b"ok")):
        file = await disk.create(path)
        await file.commit(data)
        await file.close()
    assert [seen.partition(": ")[0] for seen in disk_sightings(disk, BIRD.all())] == [
        "a.log",
        f"media/{BIRD.workspace}",
    ]
    assert len(disk_sightings(disk, BIRD.all(), but=["a.log"])) == 1
