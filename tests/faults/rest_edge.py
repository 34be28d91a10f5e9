"""The row "REST edge": whatever is sent to the port, who asks properly is answered as ever.

``rest_edge_requests`` and ``rest_edge_bytes`` have what is done, ``rest_edge_world`` the honest
callers and what must hold, all in one process. How long answers take is measured elsewhere, by
``rest_edge_latency``, where attackers take no time from the service that they attack.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx

from tests.faults.rest_edge_bytes import BYTES, CUT_OFF_WITHIN_S
from tests.faults.rest_edge_latency import measured
from tests.faults.rest_edge_requests import REQUESTS
from tests.faults.rest_edge_world import World, running_world
from tests.faults.row import Figures, Row, inject, names
from tests.support.engines import POSTGRES, SQLITE, engine_for_all

NAME = "REST edge"

Fault = Callable[[World], Awaitable[None]]


async def backend_dies_mid_stream(world: World) -> None:
    """Who asks gets 503 as JSON, half an answer is broken off; afterwards all is well."""
    async with world.client.stream("GET", "/events", headers=world.bearer("viewer")) as stream:
        assert stream.status_code == 200
        chunks = stream.aiter_raw()
        await anext(chunks)
        world.may_be_away = True
        await world.line.cut()
        asked = [world.ask("GET", f"/cameras/{world.own_camera}") for _ in range(10)]
        asked += [world.ask("POST", "/persons", json={"name": "away"}) for _ in range(10)]
        statuses = {answer.status_code for answer in await asyncio.gather(*asked)}
        assert statuses == {503}, f"answered by {statuses} while the service was away"
        try:
            async with asyncio.timeout(CUT_OFF_WITHIN_S):
                async for _ in chunks:
                    pass
        except httpx.RemoteProtocolError:
            world.figures["broken_off"] += 1
        else:
            raise AssertionError("half an answer looked like a whole one")
    await world.line.mend()
    await world.until_back()
    world.may_be_away = False
    people = await world.ask("GET", "/persons?page_size=1000")
    assert "away" not in people.text, "503, and made all the same"
    world.figures["outages"] += 1


FAULTS: tuple[Fault, ...] = (*REQUESTS, *BYTES, backend_dies_mid_stream)


async def put_in(world: World, faults: Sequence[Fault], *, seed: int, rounds: int) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    world.figures["faults_injected"] += count
    return world.figures


async def run(seed: int, size: int) -> Figures:
    """Run the whole row on both engines, and measure on SQLite."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as folder:
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                async with running_world(
                    Path(folder) / engine, dice=random.Random(seed), thorough=True
                ) as world:
                    found += await put_in(world, FAULTS, seed=seed, rounds=size)
    # attackers with machines of their own: what they are answered is held there as well
    times = await measured(NAME, seed=seed, each_s=size)
    return {**{key: found[key] for key in FIGURES}, **times}


FIGURES = (
    "faults_injected", "requests", "server_errors", "unavailable", "outages", "broken_off",
    "resets", "bombs", "smuggling_attempts", "forged_page_tokens", "cut_off",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(FAULTS), run=run)
