"""A site behind its edge, honest callers who never stop asking, and what must hold for them.

Whatever is done to the edge: who asks properly is answered rightly and in time; nothing is answered
by a 5xx but by JSON that says "unavailable" while the service is dead; an error is JSON; nothing
tells of our insides; and what was never properly asked for is not there afterwards.
"""

import asyncio
import contextlib
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.control_plane import RunningControlPlane
from tests.support.cuttable_line import CuttableLine
from tests.support.edge import RunningEdge, running_edge
from tests.support.people import running_people_site
from tests.support.raw_http import RawAnswer
from tests.support.rest_site import RestSite, furnished

SMUGGLED = "smuggled"
OTHERS, OTHERS_OF_TESTS = 4, 2
ANSWERED_WITHIN_S = 10.0
_PAUSE_S = 0.005
_PAUSE_OF_TESTS_S = 0.1
_INSIDES = ("Traceback", 'File "/', "sqlalchemy", "sqlite3", "asyncpg", "grpc._cython", "upstream")


@dataclass(slots=True, kw_only=True)
class World:
    """A site, its edge, and the others. ``figures`` counts."""

    site: RunningControlPlane
    edge: RunningEdge
    line: CuttableLine
    client: httpx.AsyncClient
    rest: RestSite
    dice: random.Random
    thorough: bool
    own_camera: str = ""
    may_be_away: bool = False
    figures: Counter[str] = field(default_factory=Counter)
    quiet_s: list[float] = field(default_factory=list)
    others_s: list[float] = field(default_factory=list)
    _wrong: list[str] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def where(self) -> tuple[str, int]:
        return self.edge.host, self.edge.port

    def many(self, quick: int, all_of_them: int) -> int:
        """Return how many: few in a test, the number itself in the bench."""
        return all_of_them if self.thorough else quick

    def bearer(self, role: str = "admin") -> dict[str, str]:
        return {"authorization": f"Bearer {self.site.token(role).reveal()}"}

    async def ask(self, verb: str, path: str, **asked: Any) -> httpx.Response:
        """Ask as somebody with a token, and hold the answer against what holds of every one."""
        headers = self.bearer() | asked.pop("headers", {})
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            answer = await self.client.request(verb, path, headers=headers, **asked)
        self.judge(answer.status_code, answer.text, f"{verb} {path[:200]}")
        return answer

    def judge_raw(self, answer: RawAnswer, *expected: int) -> None:
        """Hold an answer to raw bytes against what holds of every one."""
        text = answer.body.decode(errors="replace")
        self.judge(answer.status, text, f"raw bytes, answered by {answer.head.splitlines()[0]}")
        assert answer.status in expected, f"{answer.status}, not one of {expected}: {text[:300]}"

    def judge(self, status: int, text: str, asked: str) -> None:
        """Hold an answer against what holds of every one."""
        self.figures["requests"] += 1
        if status >= 400:
            assert json.loads(text).keys() == {"code", "message", "details"}, f"{asked}: {text}"
        if status == 503 and self.may_be_away:
            self.figures["unavailable"] += 1
        elif status >= 500:
            self.figures["server_errors"] += 1
            raise AssertionError(f"{asked}: {status} {text[:300]}")
        for word in _INSIDES:
            assert word not in text, f"{asked}: {text[:300]}"

    async def others_go_on(self, answers: int = 3) -> None:
        """Wait until the others have got more answers, each of them right."""
        before = len(self.others_s)
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while len(self.others_s) < before + answers and not self._wrong:
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
        """Ask for a camera again and again; times go to ``others_s``."""
        async with self.edge.client() as client:
            while True:
                started = time.perf_counter()
                try:
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        answer = await client.get(
                            f"/cameras/{self.own_camera}", headers=self.bearer("viewer")
                        )
                    self._hold_other(answer, time.perf_counter() - started)
                except (AssertionError, TimeoutError, httpx.HTTPError, ValueError) as error:
                    if not self.may_be_away:
                        self._wrong.append(f"somebody else: {type(error).__name__} {error}")
                self._more.set()
                await asyncio.sleep(_PAUSE_S if self.thorough else _PAUSE_OF_TESTS_S)

    def _hold_other(self, answer: httpx.Response, took_s: float) -> None:
        was_away = self.may_be_away
        self.judge(answer.status_code, answer.text, "somebody else's request")
        if answer.status_code == 200:
            assert answer.json()["data"]["id"] == self.own_camera
            if not was_away:
                self.others_s.append(took_s)
        else:
            assert was_away, f"{answer.status_code} {answer.text}"

    def times(self) -> dict[str, float]:
        """Return p50 and p99 of the others' answers, alone and under the faults, in ms."""
        found = {}
        for name, taken in (("quiet", self.quiet_s), ("others", self.others_s)):
            places = statistics.quantiles(taken, n=100)
            found[f"p50_{name}_ms"] = round(places[49] * 1000, 1)
            found[f"p99_{name}_ms"] = round(places[98] * 1000, 1)
        return found


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
            for _ in range(world.many(1, 40)):
                await world.others_go_on(10)
            world.quiet_s, world.others_s = world.others_s, []
            yield world
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
