"""Connections in memory: order, flow control, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from yarl import URL

from sumeasync.testing import virtual_elapsed
from sumeasync.testing.transport import HIGH_WATER, LOW_WATER, SEGMENT, MemoryTransport, connect


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    transport: MemoryTransport

    def __init__(self) -> None:
        self.events: list[object] = []
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert len(data) <= SEGMENT
        self.data += data

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(exc if exc is None else type(exc))

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


def join(latency: Callable[[], float] = lambda: 0.0) -> tuple[Recorder, Recorder]:
    """A client and a server, connected."""
    client, server = Recorder(), Recorder()
    connect(asyncio.get_running_loop(), client, server, latency, URL("http://api.test"))
    return client, server


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_overtakes(seed: int) -> None:
    """Whatever the delays, data arrives in order and whole, and the end after it."""
    random = Random(seed)
    client, server = join(lambda: random.uniform(0, 1))
    sent = [bytes([n]) * (n * 700) for n in range(200)]
    for part in sent:
        client.transport.write(part)
    client.transport.close()
    await asyncio.sleep(10)
    assert server.data == b"".join(sent)
    assert server.events == ["eof", None]
    assert client.events[-1] is None


async def test_latency_is_exact() -> None:
    """What is sent arrives after the delay, to the nanosecond."""
    arrived: list[float] = []
    client, server = join(lambda: 0.1)
    server.data_received = lambda data: arrived.append(virtual_elapsed())  # type: ignore[method-assign]
    start = virtual_elapsed()
    client.transport.write(b"x")
    await asyncio.sleep(1)
    assert arrived == [start + 0.1]


async def test_a_paused_reader_gets_nothing() -> None:
    """While reading is paused neither data nor the end is handed over; then both are."""
    client, server = join()
    server.transport.pause_reading()
    client.transport.write(b"x")
    client.transport.close()
    await asyncio.sleep(1)
    assert (server.data, server.events, server.transport.is_reading()) == (b"", [], False)
    server.transport.resume_reading()
    await asyncio.sleep(1)
    assert (server.data, server.events) == (b"x", ["eof", None])


async def test_a_reader_may_pause_amid_a_delivery() -> None:
    """Pausing while data is handed over keeps the rest back."""
    client, server = join()
    server.data_received = lambda data: server.transport.pause_reading()  # type: ignore[method-assign]
    client.transport.write(bytes(SEGMENT + 1))
    await asyncio.sleep(1)
    assert client.transport.get_write_buffer_size() == 1


async def test_a_writer_is_paused_and_resumed_once() -> None:
    """Above the high-water mark a writer is paused, at the low-water mark it goes on."""
    client, server = join()
    assert client.transport.get_write_buffer_limits() == (LOW_WATER, HIGH_WATER)
    client.transport.write(bytes(HIGH_WATER))
    assert client.events == []
    client.transport.write(b"x")
    client.transport.write(b"x")
    assert client.events == ["pause"]
    await asyncio.sleep(1)
    assert client.events == ["pause", "resume"]
    assert len(server.data) == HIGH_WATER + 2


async def test_a_reset_is_an_error_after_the_data() -> None:
    """A reset reaches the other end as ECONNRESET, after what was sent before it, and this end without an error."""
    client, server = join()
    server.transport.write(b"x")
    server.transport.reset()
    await asyncio.sleep(1)
    assert (client.data, client.events, server.events) == (b"x", [ConnectionResetError], [None])


async def test_a_closed_end_says_no_more() -> None:
    """After closing, nothing is received and nothing sent; closing again does nothing."""
    client, server = join()
    server.transport.write(b"x")
    client.transport.close()
    client.transport.abort()
    client.transport.write(b"y")
    await asyncio.sleep(1)
    assert client.transport.is_closing()
    assert (client.data, server.data, client.events, server.events) == (b"", b"", [None], ["eof", None])


async def test_a_closed_end_is_never_handed_old_data() -> None:
    """Data that waited for a paused reader is lost when that reader closes."""
    client, server = join()
    client.transport.pause_reading()
    server.transport.write(b"x")
    client.transport.close()
    client.transport.resume_reading()
    await asyncio.sleep(1)
    assert client.data == b""


async def test_a_writer_learns_that_its_reader_left_though_it_reads_nothing() -> None:
    """A writer that waits for room and has paused reading gets an error when the other end closes."""
    client, server = join()
    server.transport.pause_reading()
    client.transport.pause_reading()
    server.transport.write(bytes(2 * HIGH_WATER))
    client.transport.close()
    await asyncio.sleep(1)
    assert server.events == ["pause", ConnectionResetError]


async def test_a_writer_to_nobody_is_paused_and_told() -> None:
    """Writing on after the other end has left, without reading, ends in a pause and an error."""
    client, server = join()
    server.transport.pause_reading()
    client.transport.close()
    server.transport.write(bytes(2 * HIGH_WATER))
    await asyncio.sleep(1)
    assert server.events == ["pause", ConnectionResetError]


async def test_a_half_open_connection_still_carries_data() -> None:
    """A protocol that answers the end with true keeps its own direction open."""
    client, server = join()
    server.eof_received = lambda: True  # type: ignore[method-assign,assignment]
    client.transport.close()
    await asyncio.sleep(1)
    assert not server.transport.is_closing()
    server.transport.close()
    await asyncio.sleep(1)
    assert server.events == [None]
