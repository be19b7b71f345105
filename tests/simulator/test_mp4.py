"""The MP4 writer."""

from __future__ import annotations

import pytest

from sumeasync.simulator.mp4 import Bits, encode_mp4


@pytest.mark.parametrize(("value", "code"), [(0, "1"), (1, "010"), (2, "011"), (7, "0001000"), (25, "000011010")])
def test_exp_golomb(value: int, code: str) -> None:
    """Exp-Golomb codes are those of the standard's table."""
    assert Bits().ue(value).text == code


def test_parameter_sets() -> None:
    """The sequence parameters say baseline, one macroblock, frames only; bit for bit."""
    assert b"\x67\x42\xc0\x0a" + bytes([0b1_1_011_1_0_1, 0b1_1000_100]) in encode_mp4([b"\x80" * 384])


@pytest.mark.parametrize("picture", [b"\x80" * 383, b"\x80" * 383 + b"\0"])
def test_unfit_picture(picture: bytes) -> None:
    """A picture of the wrong length, or with zeros, is refused."""
    with pytest.raises(ValueError, match="384"):
        encode_mp4([picture])
