"""The queue of what is due, against a dictionary that does the same slowly."""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sumeasync.core import queue
from sumeasync.core.queue import DelayQueue


class Entry(msgspec.Struct, eq=False):
    name: int
    ticket: int = 0


entries = st.integers(0, 5)
times = st.integers(0, 4).map(float)


class QueueAgainstModel(RuleBasedStateMachine):
    """The model keeps for each waiting item (due, order of push); the least of them is the next."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [Entry(number) for number in range(6)]
        self.queue: DelayQueue[Entry] = DelayQueue()
        self.model: dict[int, tuple[float, int]] = {}
        self.pushes = 0

    @rule(name=entries, due=times)
    def push(self, name: int, due: float) -> None:
        self.pushes += 1
        self.model[name] = (due, self.pushes)
        self.queue.push(self.items[name], due)

    @rule(name=entries)
    def discard(self, name: int) -> None:
        self.model.pop(name, None)
        self.queue.discard(self.items[name])

    @rule(now=times)
    def pop(self, now: float) -> None:
        first = min(self.model, key=self.model.__getitem__, default=None)
        expected = None if first is None or self.model[first][0] > now else first
        popped = self.queue.pop(now)
        assert (popped and popped.name) == expected
        if expected is not None:
            del self.model[expected]

    @invariant()
    def same(self) -> None:
        assert len(self.queue) == len(self.model)
        assert {item.name for item in self.queue} == set(self.model)
        assert {item.name for item in self.items if item.ticket} == set(self.model)
        assert self.queue.next_due() == min((due for due, _ in self.model.values()), default=None)


TestQueueAgainstModel = QueueAgainstModel.TestCase


def test_equal_times_leave_in_the_order_they_came() -> None:
    """Items due at the same moment are first in, first out."""
    waiting: DelayQueue[Entry] = DelayQueue()
    for number in range(20):
        waiting.push(Entry(number), 1.0)
    popped = [waiting.pop(1.0) for _ in range(20)]
    assert [item.name for item in popped if item] == list(range(20))


def test_rescheduling_does_not_pile_up() -> None:
    """Stale entries are thrown away once they outnumber the live ones, and no live one with them."""
    waiting: DelayQueue[Entry] = DelayQueue()
    items = [Entry(number) for number in range(3)]
    for turn in range(2 * queue.PRUNE_ABOVE):
        waiting.push(items[turn % 3], float(-turn))  # each new entry rises to the top: nothing surfaces by itself
    assert len(waiting._heap) <= queue.PRUNE_ABOVE + 4
    assert sorted(item.name for item in waiting) == [0, 1, 2]
    assert waiting.next_due() == 1.0 - 2 * queue.PRUNE_ABOVE


def test_sample_is_of_live_items() -> None:
    """A sample holds waiting items only, near as many as asked for, however many stale entries there are."""
    waiting: DelayQueue[Entry] = DelayQueue()
    items = [Entry(number) for number in range(100)]
    assert waiting.sample(Random(1), 5) == []
    for item in items:
        waiting.push(item, 1.0)
    for item in items[5:]:
        waiting.discard(item)
    picked = waiting.sample(Random(1), 50)
    assert len(picked) == 50
    assert {item.name for item in picked} == set(range(5))
    assert len(waiting) == 5


def test_first_takes_nothing() -> None:
    """What has been due longest can be looked at and stays; stale entries are passed over."""
    waiting: DelayQueue[Entry] = DelayQueue()
    first, second = Entry(1), Entry(2)
    waiting.push(first, 1.0)
    waiting.push(second, 2.0)
    assert waiting.first(0.9) is None
    assert waiting.first(2.0) == (1.0, first.ticket, first)
    waiting.push(first, 3.0)
    assert waiting.first(2.0) == (2.0, second.ticket, second)
    assert len(waiting) == 2


def test_an_item_moves_between_queues() -> None:
    """What an item left behind in one queue does not come to life while it waits in another."""
    first: DelayQueue[Entry] = DelayQueue()
    second: DelayQueue[Entry] = DelayQueue()
    item = Entry(1)
    first.push(item, 1.0)
    first.discard(item)
    second.push(item, 5.0)
    assert (first.next_due(), first.pop(9.0), list(first), second.pop(9.0)) == (None, None, [], item)


def test_repr_counts() -> None:
    """The queue shows how much waits, and how much of its heap is stale."""
    waiting: DelayQueue[Entry] = DelayQueue()
    item = Entry(1)
    waiting.push(item, 1.0)
    waiting.push(item, 2.0)
    assert repr(waiting) == "<DelayQueue 1 waiting, 1 stale>"
