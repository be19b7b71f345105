"""Secrets that sing: texts to put wherever a secret may stand, and a search that finds them in any disguise.

```python
bird = Canary()
...  # a run in which the key, links, inputs and answers hold the bird's texts
assert not sightings(log.getvalue().encode(), bird.all())
```
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote

import msgspec

from sumeasync.testing.disk import MemoryDisk

__all__ = ["Canary", "disk_sightings", "sightings", "spellings"]


class Canary(msgspec.Struct, frozen=True):
    """One text of each kind that must not be shown; all are made up, and none occurs by chance."""

    key: str = "sume_live_c4narY5kEy7Wq2Zx9"
    link_secret: str = "c4narYs1g/Aa+Zz0Qq="  # noqa: S105 - made up
    email: str = "c4nary.bird+song@mine.example"
    workspace: str = "ws_c4narYw0rk7"
    transcript: str = "the c4nary said words that nobody may read"
    prompt: str = "the c4nary painted a picture that nobody may see"

    @property
    def link(self) -> str:
        """A signed link to media that do not exist."""
        return f"https://media.sume.so/out/clip.mp4?X-Amz-Signature={quote(self.link_secret, safe='')}"

    def all(self) -> tuple[str, ...]:
        """Every text."""
        return msgspec.structs.astuple(self)

    def always(self) -> tuple[str, ...]:
        """What must not stand even in the results, which keep payloads whole."""
        return (self.key, self.link_secret)


def sightings(data: bytes, secrets: Iterable[str]) -> list[str]:
    """Which of `secrets` stand in `data`, each as ``secret (disguise)``; see `spellings`. Case does not matter."""
    folded = data.lower()
    return [
        f"{secret} ({disguise})"
        for secret in secrets
        for disguise, form in _folded(secret)
        if form in (data if disguise.startswith("base64") else folded)
    ]


def disk_sightings(disk: MemoryDisk, secrets: Iterable[str], *, but: Iterable[str] = ()) -> list[str]:
    """The sightings in the names and the content of all files, each before its path; files named in `but` left out."""
    wanted, skipped = tuple(secrets), set(but)
    return [
        f"{path}: {seen}"
        for path in disk.paths()
        if path not in skipped
        for seen in sightings(path.encode() + b"\0" + disk.content(path), wanted)
    ]


def spellings(secret: str) -> Iterator[tuple[str, bytes]]:
    """A text in its disguises: plain, percent-encoded once and twice, JSON escapes, hex, base64 at each alignment."""
    raw = secret.encode()
    yield "plain", raw
    yield "percent", quote(secret, safe="").encode()
    yield "double percent", quote(quote(secret, safe=""), safe="").encode()
    yield "percent of all", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "JSON", json.dumps(secret)[1:-1].encode()
    yield "JSON of JSON", json.dumps(json.dumps(secret))[3:-3].encode()
    yield "JSON escapes", "".join(f"\\u{ord(char):04x}" for char in secret).encode()
    yield "hex", raw.hex().encode()
    for shift in range(3):  # a character at each end depends on its neighbours
        for name, encode in (("base64", base64.b64encode), ("base64 for URLs", base64.urlsafe_b64encode)):
            yield f"{name} at {shift}", encode(b"\0" * shift + raw)[4 if shift else 0 : -4]


@lru_cache(maxsize=64)
def _folded(secret: str) -> tuple[tuple[str, bytes], ...]:
    """The disguises, each form once, those whose case says nothing in lower case."""
    forms: dict[bytes, str] = {}
    for disguise, form in spellings(secret):
        forms.setdefault(form if disguise.startswith("base64") else form.lower(), disguise)
    return tuple((disguise, form) for form, disguise in forms.items())
