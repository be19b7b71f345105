"""Sends an exchange over an aiohttp connection, with the faults that only a wire can have."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from aiohttp import web

from sumeasync.simulator import faults
from sumeasync.simulator.calls import Reply
from sumeasync.simulator.service import Exchange

__all__ = ["send"]

SMALL_BYTES = 1 << 20
BLOCK_BYTES = 256 * 1024


async def send(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Send the answer and return what the server is to finish; after a cut there is nothing to finish."""
    if exchange.delay_seconds:
        await asyncio.sleep(exchange.delay_seconds)
    try:
        return await _play(request, exchange)
    except ConnectionError:  # the client left in the middle of a stream
        return web.Response()


async def _play(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    reply = exchange.reply
    match exchange.fault:
        case faults.Reset():
            _abort(request)
            return web.Response()
        case faults.Stall(fraction=fraction, seconds=seconds):
            _write_part(request, reply, fraction, "length")
            await _wait(request, seconds)
            _abort(request)
            return web.Response()
        case faults.Truncate(fraction=fraction, framing=framing):
            _write_part(request, reply, fraction, framing)
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        case faults.Huge(size=size):
            return await _stream_huge(request, reply, size)
    return await _send_whole(request, reply)


async def _send_whole(request: web.Request, reply: Reply) -> web.StreamResponse:
    if reply.size <= SMALL_BYTES or reply.media is None:
        return web.Response(status=reply.status, headers=reply.headers, body=reply.read(reply.size))
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    response.content_length = reply.size
    await response.prepare(request)
    if request.method != "HEAD":
        for chunk in reply.media.chunks(reply.start, reply.stop):
            await response.write(chunk)
    return response


async def _stream_huge(request: web.Request, reply: Reply, size: int) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    await response.prepare(request)
    for sent in range(0, size, BLOCK_BYTES):
        await response.write(b" " * min(BLOCK_BYTES, size - sent))
    return response


def _write_part(request: web.Request, reply: Reply, fraction: float, framing: str) -> None:
    """Write the head and a part of the body past the framework, which would not let a body end early."""
    if request.transport is None:
        return
    part = reply.read(int(reply.size * fraction))
    head = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    head += [f"{name}: {value}" for name, value in reply.headers.items()]
    if framing == "length":
        head.append(f"Content-Length: {reply.size}")
    elif framing == "chunked":
        head.append("Transfer-Encoding: chunked")
        part = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
    else:
        head.append("Connection: close")
    request.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + part)


async def _wait(request: web.Request, seconds: float) -> None:
    """Wait, but not longer than the client stays."""
    while seconds > 0 and request.transport is not None:
        await asyncio.sleep(min(1.0, seconds))
        seconds -= 1.0


def _abort(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:  # not in memory; without lingering the peer sees a reset, not an orderly end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
