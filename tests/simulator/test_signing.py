"""Signed links."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from sumeasync.simulator.signing import Signer


def signed(signer: Signer, path: str, expires_at: float) -> dict[str, str]:
    """The query of a signed link."""
    return dict(parse_qsl(signer.sign(path, expires_at).partition("?")[2]))


def test_opens_until_it_expires() -> None:
    """A link is good before its expiry and not from then on."""
    signer = Signer("s")
    query = signed(signer, "/media/a", 900)
    assert signer.valid("/media/a", query, 899.9)
    assert not signer.valid("/media/a", query, 900)


@pytest.mark.parametrize("change", [{"expires": "9999.000"}, {"nonce": "ff"}, {"signature": "é"}, {"signature": ""}])
def test_changed_query(change: dict[str, str]) -> None:
    """A changed query opens nothing."""
    signer = Signer("s")
    assert not signer.valid("/media/a", signed(signer, "/media/a", 900) | change, 0)


def test_other_path_or_secret() -> None:
    """A link opens one path of one signer."""
    query = signed(Signer("s"), "/media/a", 900)
    assert not Signer("s").valid("/media/b", query, 0)
    assert not Signer("t").valid("/media/a", query, 0)


def test_links_differ() -> None:
    """Two links to one path at one time differ."""
    signer = Signer("s")
    assert signer.sign("/media/a", 900) != signer.sign("/media/a", 900)
