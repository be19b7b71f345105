"""Pages and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import BadRequestError
from sumeasync.simulator.listing import Order, page, read_limit

ORDERS = st.sampled_from(["newest", "oldest", "random"])


def walk(entries: list[int], order: Order, limit: int, grow: bool, modulus: int = 1) -> list[int]:
    """Follow the cursors to the end; with `grow` an entry is added before each further page."""
    seen: list[int] = []
    found, cursor = page(entries, lambda entry: entry % modulus == 0, order=order, cursor=None, limit=limit)
    seen += found
    while cursor:
        entries += [len(entries)] * grow
        found, cursor = page(entries, lambda entry: entry % modulus == 0, order=order, cursor=cursor, limit=limit)
        assert found, "a page that was announced is not empty"
        seen += found
    return seen


@given(st.integers(0, 60), ORDERS, st.integers(1, 20), st.booleans(), st.integers(1, 4))
def test_walk_yields_each_entry_once(count: int, order: Order, limit: int, grow: bool, modulus: int) -> None:
    """A walk gives every entry that was there and is to be kept exactly once, also while the list grows."""
    seen = walk(list(range(count)), order, limit, grow, modulus)
    assert sorted(seen) == list(range(0, count, modulus))


def test_orders() -> None:
    """Newest first is the reverse of oldest first; random is neither."""
    newest, oldest, mixed = (walk(list(range(50)), order, 7, False) for order in ("newest", "oldest", "random"))
    assert oldest == newest[::-1] == list(range(50))
    assert mixed not in (newest, oldest)


@pytest.mark.parametrize("text", ["0", "101", "-1", "", "ten", "1.5", "00501"])
def test_limit_bounds(text: str) -> None:
    """A limit outside 1 to 100 is refused."""
    with pytest.raises(BadRequestError):
        read_limit({"limit": text})


@pytest.mark.parametrize(("query", "limit"), [({}, 20), ({"limit": "1"}, 1), ({"limit": "100"}, 100)])
def test_limit_values(query: dict[str, str], limit: int) -> None:
    """The limit is 20 unless asked for."""
    assert read_limit(query) == limit


@pytest.mark.parametrize("cursor", ["x", "cur_1", "cur_zz_3", "cur_-1_3", "cur_4_3", "cur_0_99"])
def test_strange_cursor(cursor: str) -> None:
    """A cursor this service did not give out is refused with 400."""
    with pytest.raises(BadRequestError):
        page([1, 2, 3], bool, order="newest", cursor=cursor, limit=5)
