"""The read-only context: account, credits, assets, brand, avatars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from sumeasync.errors import NotFoundError
from sumeasync.models import JSON
from sumeasync.simulator.calls import Call, Reply
from sumeasync.simulator.jobs import ACTIVE
from sumeasync.simulator.listing import Order, list_envelope, page, read_limit
from sumeasync.simulator.uploads import Asset
from sumeasync.simulator.world import World

__all__ = ["READS"]

Run: TypeAlias = Callable[[World, Call, float, str], Reply]

BRAND = {"object": "brand", "id": "brand_1", "name": "Example", "colors": ["#101820", "#f2aa4c"]}
AVATARS = {
    id: {"object": "avatar", "id": id, "name": name} for id, name in (("avatar_1", "Ada"), ("avatar_2", "Grace"))
}


def me(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /me: whose key this is."""
    key = {"prefix": "sume_live", "scopes": ["read", "generate"]}
    user = {"id": "user_1", "email": "someone@example.com"}
    return Reply(document={"object": "me", "user": user, "workspace": {"id": "ws_1"}, "api_key": key})


def show_credits(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /credits: the balance and how many jobs may run at once."""
    balance = world.balance(now)
    document = {
        "object": "credits",
        "plan": "pro",
        "monthly_credits": world.settings.credits,
        "bonus_credits": 0,
        "remaining_credits": balance.remaining,
        "reserved_credits": balance.reserved,
        "active_generation_capacity": world.settings.concurrency,
    }
    return Reply(document=document)


def list_assets(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /assets: one page; `q`, `source_type`, `sort` by time, `limit` and `cursor` have an effect."""
    query = call.query
    order: Order = "oldest" if query.get("sort") == "created_at_asc" else "newest"

    def keep(asset: Asset) -> bool:
        return query.get("q", "").lower() in asset.title.lower() and query.get("source_type", "upload") == "upload"

    limit, cursor = read_limit(query), query.get("cursor")
    found, following = page(world.uploads.assets, keep, order=order, cursor=cursor, limit=limit)
    return Reply(document=list_envelope([_asset_view(asset, now) for asset in found], following))


def show_asset(world: World, call: Call, now: float, id: str) -> Reply:
    """GET /assets/{id}: the asset, ready when its ingest has completed."""
    views = {asset.id: _asset_view(asset, now) for asset in world.uploads.assets if asset.id == id}
    return _entry(views, id)


def show_brand(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /brand/current: the brand in use."""
    return Reply(document=BRAND)


def list_brands(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /brand: all brands."""
    return Reply(document=list_envelope([BRAND], None))


def list_avatars(world: World, call: Call, now: float, _: str) -> Reply:
    """GET /avatars: all avatars."""
    return Reply(document=list_envelope(list(AVATARS.values()), None))


def show_avatar(world: World, call: Call, now: float, id: str) -> Reply:
    """GET /avatars/{id}: one avatar."""
    return _entry(AVATARS, id)


def _entry(entries: Mapping[str, JSON], id: str) -> Reply:
    if id not in entries:
        raise NotFoundError("no such entry", status=404, code="not_found")
    return Reply(document=entries[id])


def _asset_view(asset: Asset, now: float) -> JSON:
    state = asset.job.state(now)
    status = "processing" if state in ACTIVE else "ready" if state == "completed" else "failed"
    return {
        "object": "asset",
        "id": asset.id,
        "title": asset.title,
        "status": status,
        "source_type": "upload",
        "content_type": asset.upload.content_type,
        "size_bytes": asset.upload.size,
        "job_id": asset.job.id,
    }


READS: dict[tuple[str, str], Run] = {
    ("/me", ""): me,
    ("/credits", ""): show_credits,
    ("/assets", ""): list_assets,
    ("/assets", "{id}"): show_asset,
    ("/brand", ""): list_brands,
    ("/brand/current", ""): show_brand,
    ("/avatars", ""): list_avatars,
    ("/avatars", "{id}"): show_avatar,
}
"""By path, and whether an id follows it."""
