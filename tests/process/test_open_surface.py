"""The surface ``open`` over real sockets: the vendor's own client against the simulator, and a killed run of ours."""

from __future__ import annotations

import asyncio

import pytest

from sumeasync.simulator import Duration, TypeSettings, World, WorldSettings, sample, serve

from .support import Bench, await_that, check_nothing_left, serving

pytestmark = pytest.mark.slow

SHORT = TypeSettings(Duration(6, 0.3), queue=Duration(1, 0.3), media="png")
WORLD = WorldSettings(types=dict.fromkeys(("image_generation", "video_generation"), SHORT))
SPEED = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets need the real clock."""
    return "asyncio"


def specs(count: int):
    """Images for the surface ``open``."""
    return [
        {"key": f"img-{n}", "type": "image_generation", "input": {"model": "gpt-image-2", "prompt": f"p{n}"}}
        for n in range(count)
    ]


class OpenBench(Bench):
    """A bench whose runs speak the dialect ``open``."""

    def command(self, *more: str) -> list[str]:
        """The command line of a run."""
        return super().command("--dialect", "open", "--base-url", self.server.base_url.replace("/api/v1", "/v1"), *more)


async def test_the_vendors_client_runs_a_batch():
    """What the vendor's published client asks is served: kinds, creates, polls, results, uploads, cancellation."""
    vendor = pytest.importorskip("sume_client")
    world = World(WORLD, seed=5)
    async with serve(world, speed=SPEED) as base:
        client = vendor.AsyncClient(base_url=base.removesuffix("/api/v1"), api_key="sume_live_simulated")
        models = ["gpt-image-2", "seedance"] * 5
        work = [client.subscribe(model, {"prompt": f"p{n}"}) for n, model in enumerate(models)]
        results = await asyncio.gather(*work)
        assert [len(result["result"]["artifacts"]) for result in results] == [1] * 10
        assert len(world.ledger.charges) == 10
        refused = await client.submit("seedance", {"prompt": "nsfw"})
        seen = [status async for status in refused.poll_request_status(delay=0.05)]
        assert isinstance(seen[-1], vendor.NSFW)
        assert await client.upload(b"a clip", "video/mp4")
        with pytest.raises(vendor.SumeClientError) as error:
            await refused.cancel()
        assert (error.value.code, error.value.status_code) == ("job_not_cancelable", 409)
        assert error.value.request_id.startswith("req_")
        await client._client.aclose()
        await client._upload_client.aclose()


def test_a_killed_run_sends_again_under_its_keys(tmp_path):
    """Killed at any moment and run again, every create is charged once and none is left unknown."""
    rules = [{"on": ["create"], "every": 3, "do": {"kind": "reset", "act": True}}]
    with serving(rules=rules) as server:
        bench = OpenBench(tmp_path, server, specs(10))
        with bench.started() as first:
            await_that(lambda: len(server.ledger()["charges"]) >= 3)
            first.kill()
        done = bench.run()
        assert done.returncode == 0, done.stderr
        assert len(server.ledger()["charges"]) == len(bench.lines()) == 10
        assert all(line["files"][0]["sha256"] == sample("png", line["job_id"]).sha256() for line in bench.lines())
        check_nothing_left(bench)
