"""A site behind its edge, honest callers who never stop asking, and what must hold for them.

Whatever is done to the edge: what holds of every answer holds (``rest_edge_target``), who asks
properly is answered rightly, and what was never properly asked for is not there afterwards.
"""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.faults.rest_edge_target import ANSWERED_WITHIN_S, SMUGGLED, Target
from tests.support.control_plane import RunningControlPlane
from tests.support.cuttable_line import CuttableLine
from tests.support.edge import RunningEdge, running_edge
from tests.support.people import running_people_site
from tests.support.rest_site import furnished

OTHERS, OTHERS_OF_TESTS = 4, 2
_PAUSE_S = 0.005
_PAUSE_OF_TESTS_S = 0.05


@dataclass(kw_only=True)
class World(Target):
    """A site, its edge, and the others.

    Attributes:
        own_camera: what the others ask for.
        others_answered: right answers that the others got while the service was there.
    """

    site: RunningControlPlane
    edge: RunningEdge
    line: CuttableLine
    own_camera: str = ""
    others_answered: int = 0
    _wrong: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def others_go_on(self, answers: int = 3) -> None:
        """Wait until the others have got more answers, each of them right."""
        before = self.others_answered
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while self.others_answered < before + answers and not self._wrong:
                self._more.clear()
                await self._more.wait()
        assert not self._wrong, self._wrong[0]

    async def check(self) -> None:
        """Hold that the others are served, and that nobody got in by a back way."""
        await self.others_go_on()
        people = await self.ask("GET", "/persons?page_size=1000")
        assert SMUGGLED not in people.text, "a request hidden in another one was carried out"
        cameras = await self.ask("GET", "/cameras")
        assert SMUGGLED not in cameras.text, "a request hidden in another one was carried out"
        assert not self.site.stopping, "a root task of the control plane crashed"
        assert psutil.pid_exists(self.edge.pid), "the edge died"

    async def until_back(self) -> None:
        """Wait until the edge has found the service again."""
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            # nothing else tells when another program has found a service
            while (await self.client.get("/healthz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def others(self) -> None:
        """Ask for a camera again and again; answers are judged."""
        async with self.edge.client() as client:
            while True:
                try:
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        answer = await client.get(
                            f"/cameras/{self.own_camera}", headers=self.bearer("viewer")
                        )
                    self._hold_other(answer)
                except (AssertionError, TimeoutError, httpx.HTTPError, ValueError) as error:
                    if not self.may_be_away:
                        self._wrong.append(f"somebody else: {type(error).__name__} {error}")
                self._more.set()
                await asyncio.sleep(_PAUSE_S if self.thorough else _PAUSE_OF_TESTS_S)

    def _hold_other(self, answer: httpx.Response) -> None:
        was_away = self.may_be_away
        self.judge(answer.status_code, answer.text, "somebody else's request")
        if answer.status_code == 200:
            assert answer.json()["data"]["id"] == self.own_camera
            if not was_away:
                self.others_answered += 1
        else:
            assert was_away, f"{answer.status_code} {answer.text}"


@asynccontextmanager
async def running_world(
    folder: Path, *, dice: random.Random, thorough: bool
) -> AsyncIterator[World]:
    """Run a control plane, a line to it that can be cut, the edge, and the others."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfip-")))
        people = await stack.enter_async_context(running_people_site(folder))
        line = CuttableLine(sockets / "line", people.site.target)
        await line.mend()
        stack.push_async_callback(line.cut)
        edge = await stack.enter_async_context(
            running_edge(folder, clusters={"control_plane": line.address})
        )
        client = await stack.enter_async_context(edge.client())
        world = World(
            where=(edge.host, edge.port),
            site=people.site,
            edge=edge,
            line=line,
            client=client,
            rest=await furnished(people.site, client),
            dice=dice,
            thorough=thorough,
        )
        made = await world.ask(
            "POST", "/cameras", json={"name": "own", "connection_string": "rtsp://c/"}
        )
        world.own_camera = made.json()["data"]["id"]
        callers = [
            asyncio.create_task(world.others()) for _ in range(world.many(OTHERS_OF_TESTS, OTHERS))
        ]
        try:
            await world.others_go_on()
            yield world
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
