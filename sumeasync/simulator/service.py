"""One call in, one exchange out: routing, keys, limits, faults and the ledger around the routes. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache

import msgspec

from sumeasync.errors import ApiError, AuthError, NotFoundError, RateLimitError
from sumeasync.models import JSON
from sumeasync.simulator import faults
from sumeasync.simulator.calls import Call, Reply, envelope
from sumeasync.simulator.jobs import ACTIVE
from sumeasync.simulator.ledger import body_hash
from sumeasync.simulator.open_payloads import open_refusal
from sumeasync.simulator.open_routes import find_open_route
from sumeasync.simulator.routes import Route, find_api_route, find_storage_route
from sumeasync.simulator.storage import storage_error
from sumeasync.simulator.world import World

__all__ = ["LEDGER_PATH", "Exchange", "Service"]

LEDGER_PATH = "/_sim/ledger"
KEY_PREFIX = "sume_"
CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "insufficient_credits",
    403: "forbidden",
    404: "not_found",
    409: "job_not_completed",
    429: "rate_limit_exceeded",
}


class Exchange(msgspec.Struct, frozen=True):
    """The answer to send, `delay_seconds` late, and the fault to play on the wire while sending it."""

    reply: Reply
    fault: faults.Action | None = None
    delay_seconds: float = 0.0


class Surface(msgspec.Struct, frozen=True):
    """An API the service speaks: its routes, by method and path without the prefix, and how it words an error."""

    find_route: Callable[[str, str], tuple[Route, str]]
    refuse: Callable[[ApiError, str], Reply]


class Service:
    """Answers calls from a world. `api_prefix` stands before every path of ``so``, `open_prefix` of ``open``."""

    def __init__(self, world: World, *, api_prefix: str = "/api/v1", open_prefix: str = "/v1") -> None:
        self.world = world
        self._surfaces = {
            open_prefix: Surface(find_open_route, open_refusal),
            api_prefix.rstrip("/"): Surface(find_api_route, _refuse),
        }

    def answer(self, call: Call, now: float) -> Exchange:
        """Return what is sent back for `call` at `now`; the document is encoded."""
        now = self.world.advance(now)
        if call.path == LEDGER_PATH:
            exchange = Exchange(Reply(document=self.world.ledger.snapshot()))
        elif (found := find_storage_route(call.method, call.path)) is not None:
            exchange = self._serve(*found, call, now, {})
        else:
            exchange = self._serve_api(call, now)
        exchange.reply.encode()
        if not isinstance(exchange.fault, faults.Reset):
            self.world.ledger.statuses[exchange.reply.status] += 1
        return exchange

    def _serve_api(self, call: Call, now: float) -> Exchange:
        headers: dict[str, str] = {}
        try:
            prefix = next((prefix for prefix in self._surfaces if call.path.startswith(prefix + "/")), None)
            if prefix is None:
                raise NotFoundError("no such route", status=404, code="not_found")
            call = msgspec.structs.replace(call, path=call.path[len(prefix) :], prefix=prefix)
            route, argument = self._surfaces[prefix].find_route(call.method, call.path)
            self._authenticate(call)
            self._take(route, now, headers)
        except ApiError as error:
            return Exchange(self._refusal(error, headers, call.prefix))
        return self._serve(route, argument, call, now, headers)

    def _serve(self, route: Route, argument: str, call: Call, now: float, headers: dict[str, str]) -> Exchange:
        self.world.ledger.requests[route.name] += 1
        if route.operation in ("poll", "result"):
            self.world.ledger.job_requests[argument] += 1
        elif route.operation in ("create", "finalize"):
            self._note_body(call)
        fault = self.world.faults.pick(self._occasion(route, argument, now))
        if fault is not None and not getattr(fault, "act", True):
            reply = Reply()
        else:
            reply = self._run(route, argument, call, now, fault)
        shown = reply.shown
        reply = self._spoil(reply, fault)
        reply.headers = headers | reply.headers
        if _tells(fault):
            self.world.ledger.detect(shown, now)
        delay = (
            fault.seconds + fault.jitter_seconds * self.world.faults.rng.random()
            if isinstance(fault, faults.Delay)
            else 0
        )
        return Exchange(reply, fault, delay)

    def _note_body(self, call: Call) -> None:
        try:
            self.world.ledger.received[body_hash(call.path, call.json())] += 1
        except ApiError:
            return  # the route itself will refuse it

    def _run(self, route: Route, argument: str, call: Call, now: float, fault: faults.Action | None) -> Reply:
        if isinstance(fault, faults.Etag):
            call = msgspec.structs.replace(call, etag=fault.value)
        try:
            return route.run(self.world, call, now, argument)
        except ApiError as error:
            if route.bucket is None:
                return storage_error(error, self.world.request_id())
            return self._refusal(error, {}, call.prefix)

    def _occasion(self, route: Route, argument: str, now: float) -> faults.Occasion:
        if route.operation not in ("poll", "result", "download"):
            return faults.Occasion(route.operation, now, type=route.kind)
        state = self.world.state_of(argument, now)
        if state is None:
            return faults.Occasion(route.operation, now, argument)
        kind = self.world.find(argument).type
        return faults.Occasion(route.operation, now, argument, kind, state not in ACTIVE)

    def _authenticate(self, call: Call) -> None:
        scheme, _, bearer = call.headers.get("Authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else call.headers.get("X-Api-Key", "")
        if not key.startswith(KEY_PREFIX):
            self.world.ledger.unauthorized += 1
            raise AuthError("the API key is missing or wrong", status=401, code="unauthorized")

    def _take(self, route: Route, now: float, headers: dict[str, str]) -> None:
        bucket = self.world.settings.presign_bucket if route.operation == "presign" else route.bucket
        if bucket is None:
            return
        self.world.ledger.times[bucket].append(now)
        verdict = self.world.limits.take(bucket, now)
        headers.update(verdict.headers)
        if not verdict.allowed:
            raise RateLimitError("too many requests", status=429, code="rate_limit_exceeded")

    def _refusal(self, error: ApiError, headers: dict[str, str], prefix: str) -> Reply:
        surface = self._surfaces.get(prefix)
        reply = (surface.refuse if surface else _refuse)(error, self.world.request_id())
        reply.headers = headers | reply.headers
        return reply

    def _spoil(self, reply: Reply, fault: faults.Action | None) -> Reply:
        match fault:
            case faults.Status():
                return self._scripted(fault)
            case faults.Body():
                headers = {"Content-Type": fault.content_type} | fault.headers
                return Reply(status=fault.status, headers=headers, body=fault.text.encode())
            case faults.GzipBomb(size=size):
                headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
                return Reply(headers=headers, body=_bomb(size))
            case faults.Huge():
                return Reply(headers={"Content-Type": "application/json"})
            case faults.Redirect(location=location, status=status):
                return Reply(status=status, headers={"Location": location})
            case faults.Patch() if isinstance(reply.document, dict):
                reply.document = _patched(reply.document, fault)
            case faults.Headers(headers=headers):
                reply.headers = reply.headers | headers
        return reply

    def _scripted(self, fault: faults.Status) -> Reply:
        headers = dict(fault.headers)
        if fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        if not fault.envelope:
            return Reply(status=fault.status, headers=headers)
        code = fault.code or CODES.get(fault.status, "internal_error")
        document = envelope(code, fault.message, self.world.request_id())
        return Reply(status=fault.status, headers=headers, document=document)


def _refuse(error: ApiError, request_id: str) -> Reply:
    return Reply(status=error.status, document=envelope(error.code, str(error), request_id))


def _tells(fault: faults.Action | None) -> bool:
    """Whether the answer still tells the truth about the state of the jobs in it."""
    if isinstance(fault, faults.Patch):
        return "status" not in fault.set and "status" not in fault.drop
    return fault is None or isinstance(fault, faults.Delay | faults.Headers | faults.Etag)


def _patched(document: dict[str, JSON], patch: faults.Patch) -> dict[str, JSON]:
    if document.get("object") == "list":
        return document | {"data": [_patched(entry, patch) for entry in document["data"]]}
    return {name: value for name, value in (document | patch.set).items() if name not in patch.drop}


@lru_cache(maxsize=4)
def _bomb(size: int) -> bytes:
    """Return a gzip stream of `size` spaces, made in small steps."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    block = b" " * (1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    parts.append(packer.compress(b" " * (size & 0xFFFFF)))
    return b"".join(parts) + packer.flush()
