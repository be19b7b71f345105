"""The two ends of a connection in memory, and the pipes between them.

A pipe is one queue with one timer, for its head: neither data nor the end of the stream ever overtakes what was sent
before it. A reader that pauses leaves its data in the pipe, and a pipe that is too full pauses its writer.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from yarl import URL

__all__ = ["HIGH_WATER", "LOW_WATER", "SEGMENT", "MemoryTransport", "connect"]

SEGMENT = 64 * 1024
"""Bytes handed to a reader at once, at most."""

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
"""Bytes under way above which a writer is paused, and at or below which it may go on."""


class Pipe:
    """One direction of a connection: what was sent and not yet received, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency: Callable[[], float]) -> None:
        self.loop = loop
        self.latency = latency
        self.size = 0
        # When each item is due, and the item: bytes, or how the stream ends (None in good order, else the error).
        self.queue: deque[tuple[float, bytes | ConnectionError | None]] = deque()
        self.timer: asyncio.Handle | None = None
        self.shut = False  # the receiver is gone
        self.on_send: Callable[[bytes], bytes] | None = None  # sees, and may shorten, what is put under way
        self.on_deliver: Callable[[bytes], bytes] | None = None  # likewise what arrives
        self.sender: MemoryTransport
        self.receiver: MemoryTransport

    def send(self, data: bytes) -> None:
        """Put `data` under way and pause the sender when too much is."""
        if self.on_send is not None:
            data = self.on_send(data)
        if self.shut:
            # Counted all the same: a writer that is never paused would never let the loop tell it of the end.
            self.size += len(data)
            self.refuse()
        for start in range(0, len(data), SEGMENT):
            self.put(data[start : start + SEGMENT])
        if self.size > HIGH_WATER:
            self.sender.pause_protocol()

    def put(self, item: bytes | ConnectionError | None) -> None:
        """Append one item; it leaves when it is due and everything before it has left."""
        if self.shut:
            return
        # Whole nanoseconds, as the virtual clock counts them.
        self.queue.append((round(self.loop.time() + self.latency(), 9), item))
        self.size += len(item) if isinstance(item, bytes) else 0
        self.schedule()

    def schedule(self) -> None:
        """Set the timer for the head of the queue, unless it is set or the reader is paused."""
        if self.timer is not None or not self.queue or not self.receiver.reading:
            return
        due = self.queue[0][0]
        if due <= self.loop.time():
            self.timer = self.loop.call_soon(self.deliver)
        else:
            self.timer = self.loop.call_at(due, self.deliver)

    def deliver(self) -> None:
        """Hand the head of the queue to the receiver."""
        self.timer = None
        _, item = self.queue.popleft()
        self.schedule()
        if not isinstance(item, bytes):
            self.receiver.end(item)
            return
        self.size -= len(item)
        if self.size <= LOW_WATER:
            self.sender.resume_protocol()
        if self.on_deliver is not None:
            item = self.on_deliver(item)
        if item:
            self.receiver.protocol.data_received(item)

    def hold(self) -> None:
        """Deliver nothing until scheduled again."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def discard(self) -> None:
        """The reader is gone: lose what is under way and whatever is sent from now on."""
        self.shut = True
        self.hold()
        self.queue.clear()
        if self.sender.writing_paused:
            self.refuse()

    def refuse(self) -> None:
        """Tell the sender that nobody receives: it may have paused reading and never see the end."""
        self.loop.call_later(self.latency(), self.sender.end, reset_by_peer())


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, protocol: asyncio.Protocol, inbound: Pipe, outbound: Pipe, extra: Mapping[str, Any]) -> None:
        super().__init__(extra)
        self.protocol = protocol
        self.inbound = inbound
        self.outbound = outbound
        self.reading = True
        self.writing_paused = False
        self.closing = False
        inbound.receiver = self
        outbound.sender = self

    def is_reading(self) -> bool:
        """Whether data is handed to the protocol."""
        return self.reading and not self.closing

    def pause_reading(self) -> None:
        """Keep what arrives in the pipe; in time this pauses the writer at the other end."""
        self.reading = False
        self.inbound.hold()

    def resume_reading(self) -> None:
        """Hand data to the protocol again."""
        self.reading = True
        self.inbound.schedule()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; lost silently when the connection is closing."""
        if data and not self.closing:
            self.outbound.send(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Bytes under way to the other end."""
        return self.outbound.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, in bytes."""
        return LOW_WATER, HIGH_WATER

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self.closing

    def close(self) -> None:
        """End the connection; the other end receives what is under way, then the end of the stream."""
        self.lose(None, farewell=None)

    def abort(self) -> None:
        """End the connection, as a killed process does: what was written is under way already and still arrives."""
        self.close()

    def reset(self) -> None:
        """End the connection with an error: the other end gets ``ECONNRESET`` after what is under way."""
        self.lose(None, farewell=reset_by_peer())

    def end(self, error: ConnectionError | None) -> None:
        """The other end is gone; called by the inbound pipe."""
        if error is not None:
            self.lose(error, farewell=None)
        elif not self.protocol.eof_received():
            self.close()

    def lose(self, error: ConnectionError | None, *, farewell: ConnectionError | None) -> None:
        """Close this end, once: `error` is for the own protocol, `farewell` for the other end."""
        if self.closing:
            return
        self.closing = True
        self.outbound.put(farewell)
        self.inbound.discard()
        self.inbound.loop.call_soon(self.protocol.connection_lost, error)

    def pause_protocol(self) -> None:
        """Tell the protocol to stop writing, once."""
        if not self.writing_paused:
            self.writing_paused = True
            self.protocol.pause_writing()

    def resume_protocol(self) -> None:
        """Tell a paused protocol to go on; one whose connection is closing learns it from ``connection_lost``."""
        if self.writing_paused and not self.closing:
            self.writing_paused = False
            self.protocol.resume_writing()


def connect(
    loop: asyncio.AbstractEventLoop,
    client: asyncio.Protocol,
    server: asyncio.Protocol,
    latency: Callable[[], float],
    url: URL,
) -> MemoryTransport:
    """Join two protocols by a pair of transports, tell both, and return the client's end."""
    upward, downward = Pipe(loop, latency), Pipe(loop, latency)
    here, there = ("127.0.0.1", 0), ("127.0.0.1", url.port)
    secure = True if url.scheme in {"https", "wss"} else None
    server_end = MemoryTransport(server, upward, downward, {"sockname": there, "peername": here, "sslcontext": secure})
    client_end = MemoryTransport(client, downward, upward, {"sockname": here, "peername": there, "sslcontext": secure})
    server.connection_made(server_end)
    client.connection_made(client_end)
    return client_end


def reset_by_peer() -> ConnectionResetError:
    """The error of a connection that the other end has cut."""
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
