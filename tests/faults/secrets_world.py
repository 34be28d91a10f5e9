"""A site full of canaries, everything it says, and the model of who may hear which secret.

A camera's address is told to its own worker, a webhook's secret once to who made it, and nothing of
either, no token and no master key may be anywhere else: in an answer, an event, a log, the edge's
log, a file of the data folder, a backup. What was sealed must open for whom it is meant, after
whatever happened to the keys.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import grpc
import pytest
import structlog
from sqlalchemy import text

from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from dfip.control_plane.v1.worker_gateway_service_pb2_grpc import WorkerGatewayServiceStub
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import configure_logging
from tests.support.control_plane import RunningControlPlane
from tests.support.edge import RunningEdge, running_edge
from tests.support.fake_index import vector
from tests.support.leaks import TOKEN, Leaks
from tests.support.people import PeopleSite, running_people_site

CANARY = "canary-5e9d41c7-"
_SEARCH_EVERY = 6  # of the checks looks through all; in the bench, each but for the server's files
ANSWERED_WITHIN_S = 20.0
NOTHING_OPENS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}


@dataclass(slots=True, kw_only=True)
class Running:
    """The site as it runs now; a restart makes another one."""

    people: PeopleSite
    edge: RunningEdge
    client: Any

    @property
    def site(self) -> RunningControlPlane:
        return self.people.site


@dataclass(slots=True, kw_only=True)
class World:
    """A folder with a site, its canaries, and what was said. ``figures`` counts."""

    folder: Path
    log: TextIO
    leaks: Leaks
    dice: random.Random
    thorough: bool
    extra: tuple[Path, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    faces: dict[str, bytes] = field(default_factory=dict)
    figures: Counter[str] = field(default_factory=Counter)
    checks: int = 0
    _running: Running | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def running(self) -> Running:
        assert self._running is not None, "the site is down"
        return self._running

    @property
    def site(self) -> RunningControlPlane:
        return self.running.site

    @property
    def key_file(self) -> Path:
        return self.folder / "data" / "keys" / "master.key"

    # ---- the site

    async def start(self) -> None:
        """Start the site on its folder; what it made itself becomes a canary."""
        self._stack = contextlib.AsyncExitStack()
        people = await self._stack.enter_async_context(
            running_people_site(self.folder, **self.settings)
        )
        edge = await self._stack.enter_async_context(
            running_edge(self.folder, clusters={"control_plane": people.site.target})
        )
        client = await self._stack.enter_async_context(edge.client())
        self._running = Running(people=people, edge=edge, client=client)
        self.know_own_secrets()

    async def stop(self) -> None:
        """Stop the site."""
        self._running = None
        await self._stack.aclose()

    def know_own_secrets(self) -> None:
        """Look for the tokens and keys that the site made, wherever they do not belong."""
        data, tokens = self.folder / "data", self.folder / "tokens"
        for file in (data / "admin.token", *tokens.glob("*.token")):
            self.leaks.shape("a token", TOKEN, allowed_in=[file])
        for line in self.key_file.read_text().splitlines():
            self.leaks.secret("the master key", line.partition(":")[2], allowed_in=[self.key_file])

    # ---- what people and machines do

    def canary(self) -> str:
        """Make a secret; the word that is looked for is in every one."""
        return f"{CANARY}{self.dice.getrandbits(64):016x}"

    def address(self) -> str:
        """Make the address of a camera, with user and password."""
        return f"rtsp://{self.canary()}:{self.canary()}@10.0.0.5/live"

    def token(self, role: str = "admin", **more: Any) -> str:
        """Mint a token, which nothing may repeat."""
        return self.site.token(role, **more).reveal()

    async def ask(self, verb: str, path: str, *, tells: bool = False, **asked: Any) -> Any:
        """Ask through the edge; unless the answer ``tells`` a secret, it must hold none."""
        headers = {"authorization": f"Bearer {self.token()}"} | asked.pop("headers", {})
        answer = await self.running.client.request(verb, path, headers=headers, **asked)
        if not tells:
            self.hear(f"the answer to {verb} {path.partition('?')[0]}", answer.text)
            self.hear("the headers of an answer", str(answer.headers.multi_items()))
        return answer

    def hear(self, where: str, said: object) -> None:
        """Look through what somebody was told."""
        self.leaks.look(where, str(said))

    async def new_camera(self, **fields: Any) -> str:
        """Register a camera and return its id."""
        address = self.address()
        body = {"name": f"camera {new_id()}", "connection_string": address, "status": "enabled"}
        made = await self.ask("POST", "/cameras", json=body | fields)
        assert made.status_code == 201, made.text
        camera_id = str(made.json()["data"]["id"])
        self.addresses[camera_id] = address
        return camera_id

    async def new_face(self) -> None:
        """Enrol somebody; the embedding must not stand anywhere in the clear."""
        values = vector(*[self.dice.random() for _ in range(8)])
        person = await self.running.people.person(f"person {new_id()}")
        await self.running.people.enrol(person.id, values)
        self.leaks.secret("an embedding", values.tobytes())
        self.faces[person.id] = values.tobytes()

    async def connect(self, camera_id: str) -> Any:
        """Connect as a camera's new worker; returns the stream, whose first answer is its work."""
        manager = ControlPlaneServiceStub(self.site.channel("manager"))
        issued = await manager.IssueWorkerToken(pb.IssueWorkerTokenRequest(camera_id=camera_id))
        channel = self.site.channel(token=issued.token)
        worker = WorkerGatewayServiceStub(channel).Connect()
        hello = gateway_pb2.WorkerHello(session_id=new_id(), camera_id=camera_id)
        await worker.write(gateway_pb2.ConnectRequest(hello=hello))
        return worker

    async def assignment(self, camera_id: str) -> str:
        """Ask for a camera's address as its worker does: the one place where it is told.

        Raises:
            AioRpcError: It is not told.
        """
        worker = await self.connect(camera_id)
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            told = await next_address(worker)
        worker.cancel()
        return told

    async def told_nothing(self, camera_id: str) -> None:
        """Hold that a camera's worker is refused in words, and told no address at all."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.assignment(camera_id)
        error = refused.value
        assert error.code() in NOTHING_OPENS, f"{error.code()} {error.details()}"
        self.hear("a refusal to a worker", error)

    async def execute(self, statement: str, **values: Any) -> Any:
        """Do something to the database behind the site's back."""
        async with self.site.control_plane.parts.database.write() as tx:
            return await tx.session.execute(text(statement), values)

    async def value(self, statement: str, **values: Any) -> Any:
        """Read one value of the database."""
        async with self.site.control_plane.parts.database.read() as session:
            return await session.scalar(text(statement), values)

    # ---- what must hold

    async def check(self) -> None:
        """Hold that what is sealed opens for its own, and that nothing is anywhere else."""
        assert not self.site.stopping, "a root task of the control plane crashed"
        cameras = sorted(self.addresses)
        for camera_id in self.dice.sample(cameras, min(len(cameras), 2)):
            told = await self.assignment(camera_id)
            assert told == self.addresses[camera_id], "another address than was sealed"
        self.checks += 1
        if self.thorough or self.checks % _SEARCH_EVERY == 1:
            await self.hear_everything()

    async def hear_everything(self) -> None:
        """Ask for all that people are shown, and look through that and all that lies about."""
        await self.hear_all_events()
        for path in ("/cameras", "/cameras/runtime", "/webhooks", "/tokens", "/audit", "/persons"):
            await self.ask("GET", path)
        self.search()

    async def hear_all_events(self) -> None:
        """Listen to the whole feed from its beginning."""
        feed = self.site.control_plane.parts.feed
        async with self.site.control_plane.parts.database.read() as session:
            head = await feed.head(session)
        beginning = type(head)(feed_id=head.feed_id, sequence=0).encode()
        last = await self.running.people.person(f"last {new_id()}")
        events = EventServiceStub(self.site.channel()).WatchEvents(
            event_service_pb2.WatchEventsRequest(resume_token=beginning)
        )
        async for message in events:
            self.hear("an event", message)
            if last.id in str(message):
                break
        events.cancel()

    def search(self) -> None:
        """Look through everything that lies about."""
        self.log.flush()
        self.leaks.look_below(self.folder)
        if self.checks % _SEARCH_EVERY == 1:
            for folder in self.extra:
                self.leaks.look_below(folder)
        assert not self.leaks.found, "; ".join(sorted(set(self.leaks.found))[:5])


async def next_address(worker: Any) -> str:
    """Return the address of the next assignment on a worker's stream.

    Raises:
        AioRpcError: The stream was ended.
    """
    answer = await worker.read()
    if answer is grpc.aio.EOF:
        raise grpc.aio.AioRpcError(
            await worker.code(),
            await worker.initial_metadata(),
            await worker.trailing_metadata(),
            details=await worker.details(),
        )
    return str(answer.assignment.connection_string)


@contextlib.contextmanager
def _logging_to(file: TextIO) -> Iterator[None]:
    """Have everything logged, as much as can be, into a file."""
    before = structlog.get_config()
    try:
        with contextlib.redirect_stderr(file):
            configure_logging("control_plane", level="debug")
            yield
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def running_world(
    folder: Path,
    *,
    dice: random.Random,
    thorough: bool,
    extra: tuple[Path, ...] = (),
    **settings: Any,
) -> AsyncIterator[World]:
    """Run a site with a few cameras and faces, its log in a file."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, at the start
    with (folder / "control_plane.log").open("w") as log, _logging_to(log):
        world = World(
            folder=folder,
            log=log,
            leaks=Leaks(),
            dice=dice,
            thorough=thorough,
            extra=extra,
            settings=settings,
        )
        world.leaks.secret("a canary", CANARY)
        await world.start()
        try:
            for _ in range(3):
                await world.new_camera()
            await world.new_face()
            yield world
            assert not world.site.stopping, "a root task of the control plane crashed"
        finally:
            await world.stop()
