"""Watches what HTTP messages a connection in memory carries, byte by byte, and can cut it there.

A request that is under way or answered is told to an observer as (`Stage`, "METHOD /path", message so far):

    head       the head of the request is about to leave, its body is not
    sent       the whole request is about to leave
    answered   the server has acted and is about to answer
    received   more of the answer has arrived; what of it is handed to the client may be cut short
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from sumeasync.testing.transport import MemoryTransport, reset_by_peer

__all__ = ["Message", "Observer", "Stage", "Wire"]

Stage: TypeAlias = Literal["head", "sent", "answered", "received"]


class Message:
    """One HTTP/1.1 message as far as it was seen; its length is the announced one."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.fresh = 0
        self.head_bytes = 0
        self.body_bytes = 0

    @property
    def body_seen(self) -> int:
        """Bytes of the body so far."""
        return len(self.data) - self.head_bytes if self.head_bytes else 0

    @property
    def whole(self) -> bool:
        """Whether nothing more belongs to it."""
        return bool(self.head_bytes) and self.body_seen >= self.body_bytes

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.data[9:12])

    def feed(self, data: bytes) -> None:
        """Take more of it in; `fresh` bytes of it are new."""
        self.data += data
        self.fresh = len(data)
        if not self.head_bytes and (end := self.data.find(b"\r\n\r\n")) >= 0:
            self.head_bytes = end + 4
            for line in bytes(self.data[:end]).lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    self.body_bytes = int(line.partition(b":")[2])


Observer: TypeAlias = Callable[[Stage, str, Message], "int | None"]
"""Told of a stage; may return how many bytes of this message pass (those from there on never do), None for all."""


class Wire:
    """One connection, watched from the client's end."""

    def __init__(self, end: MemoryTransport, observe: Observer) -> None:
        self.end = end
        self.observe = observe
        self.request = Message()
        self.answer = Message()
        self.asked = ""
        self.answering = False
        end.outbound.on_send = self.sends
        end.inbound.on_send = self.answers
        end.inbound.on_deliver = self.receives

    def sends(self, data: bytes) -> bytes:
        """The client writes: a new request, or more of one."""
        if self.request.whole:
            self.request, self.answer, self.answering = Message(), Message(), False
        headless = not self.request.head_bytes
        before = len(self.request.data)
        self.request.feed(data)
        if headless and self.request.head_bytes:
            method, path, _ = bytes(self.request.data[: self.request.head_bytes]).decode().split(" ", 2)
            self.asked = f"{method} {path.partition('?')[0]}"
        passing: int | None = None
        if headless and self.request.head_bytes and self.request.body_bytes:
            passing = self.observe("head", self.asked, self.request)
        if passing is None and self.request.whole:
            passing = self.observe("sent", self.asked, self.request)
        if passing is None:
            return data
        self.end.outbound.on_send = nothing
        return data[: max(0, passing - before)]

    def answers(self, data: bytes) -> bytes:
        """The server writes; an answer may come in several pieces, and is told of once."""
        if not self.answering and self.asked:
            self.answering = True
            self.observe("answered", self.asked, self.request)
        return data

    def receives(self, data: bytes) -> bytes:
        """Bytes arrive at the client."""
        before = len(self.answer.data)
        self.answer.feed(data)
        passing = self.observe("received", self.asked, self.answer)
        if passing is None:
            return data
        self.end.inbound.on_deliver = nothing
        return data[: max(0, passing - before)]

    def cut(self, *, lose: bool) -> None:
        """End the connection, as when the client's machine stops; `lose` what is still on its way to the server."""
        if lose:
            self.end.outbound.discard()
        self.end.outbound.on_send = nothing
        self.end.lose(reset_by_peer(), farewell=None)


def nothing(_: bytes) -> bytes:
    """What passes a cut wire."""
    return b""
