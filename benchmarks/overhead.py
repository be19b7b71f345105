"""What the engine costs: CPU a poll against a bare aiohttp loop doing the same GETs, and memory of jobs in flight.

    python benchmarks/overhead.py [--polls 30000] [--jobs 100000] [--rounds 5] [--json] [--smoke]

Caveats first. Client and server are on this machine, over loopback TCP, one process each, so a real network would hide
most of the difference. CPU is user + system of the client process, from its first request to its last. The contenders
take turns, and only the ratio of two neighbouring rounds is worth quoting: absolute times are this machine's. The bare
loop is the least that asks for a job and reads the answer: 32 workers sharing one session, `await response.json()`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time

BODY = b'{"object":"job","id":"%s","type":"video_generation","status":"running","created_at":"2026-01-01T00:00:00Z"}'
WORKERS = 32


async def serve() -> None:
    """Answer every GET with a running job, as cheaply as aiohttp can."""
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = BODY % request.path.rpartition("/")[2].encode()
        return web.Response(body=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def bare(base: str, polls: int) -> dict[str, float]:
    """The loop to compare with."""
    import aiohttp

    numbers = iter(range(polls))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            async with session.get(f"{base}/jobs/job_{number}") as response:
                await response.json()

    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sume_live_x"}) as session:
        began = time.process_time()
        await asyncio.gather(*(worker(session) for _ in range(WORKERS)))
        return {"polls": polls, "cpu": time.process_time() - began}


async def engine(base: str, polls: int) -> dict[str, float]:
    """The engine, on 2000 adopted jobs that never end, until it has polled as often."""
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    settings = Settings(reads=WORKERS, poll={"*": POLICY, "video_generation": POLICY}, max_in_flight=10_000)
    async with Engine(base_url=base, api_key="sume_live_x", settings=settings) as opened:
        began = time.process_time()
        run = opened.run({"job_id": f"job_{number}"} for number in range(2000))
        while run.statistics.requests["poll"] < polls:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.02)
        return {"polls": run.statistics.requests["poll"], "cpu": time.process_time() - began}


async def memory(base: str, jobs: int) -> dict[str, float]:
    """Peak memory with so many adopted jobs in flight, a few thousand of them polled."""
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    every = max(0.5, jobs / 2000)  # seconds: some two thousand polls each second, whatever the number of jobs
    settings = Settings(reads=WORKERS, poll={"*": {"interval": every, "cap": every}}, max_in_flight=jobs + 1)
    async with Engine(base_url=base, api_key="sume_live_x", settings=settings) as opened:
        run = opened.run({"job_id": f"job_{number}"} for number in range(jobs))
        while run.statistics.specs < jobs or run.statistics.requests["poll"] < min(jobs, 2000):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return {"jobs": jobs, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


POLICY = {"interval": 0.05, "cap": 0.05, "first_delay": 0.0, "deadline": 1e6}
CONTENDERS = {"bare": bare, "engine": engine, "memory": memory}


def contend(name: str, base: str, amount: int) -> dict[str, float]:
    """Run one contender in a process of its own."""
    command = [sys.executable, __file__, "--contender", name, "--base", base, "--amount", str(amount)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def compare(arguments: argparse.Namespace) -> dict[str, object]:
    """All rounds against one server."""
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        base = f"http://127.0.0.1:{server.stdout.readline().strip() if server.stdout else ''}"
        rounds = []
        for _ in range(arguments.rounds):
            one = {name: contend(name, base, arguments.polls) for name in ("bare", "engine")}
            rounds.append({name: 1e6 * one[name]["cpu"] / one[name]["polls"] for name in one})
        in_flight = contend("memory", base, arguments.jobs)
    finally:
        server.terminate()
        server.wait()
    ratios = [one["engine"] / one["bare"] for one in rounds]
    return {
        "bare_cpu_us_a_poll": round(statistics.median(one["bare"] for one in rounds), 1),
        "engine_cpu_us_a_poll": round(statistics.median(one["engine"] for one in rounds), 1),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "jobs_in_flight": in_flight["jobs"],
        "peak_mib": round(in_flight["peak_mib"], 1),
    }


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=30_000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="small and quick: proves that it runs, measures nothing")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)
    parser.add_argument("--amount", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
    elif arguments.contender:
        print(json.dumps(asyncio.run(CONTENDERS[arguments.contender](arguments.base, arguments.amount))))
    else:
        if arguments.smoke:
            arguments.polls, arguments.jobs, arguments.rounds = 300, 1000, 1
        figures = compare(arguments)
        print(json.dumps(figures) if arguments.json else "\n".join(f"{k:24} {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
