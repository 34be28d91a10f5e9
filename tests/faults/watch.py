"""The row "watch": clients that are cut off in every way, and not one event missed.

Every fault runs over real control planes: one on SQLite, and two that share a database on
PostgreSQL. The world's clock stands still, so that keep-alives come when a fault wants them.
"""

import asyncio
import base64
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc

from control_plane.events.compaction import compact
from control_plane.events.feed import ChangeFeed
from control_plane.events.servicer import KEEP_ALIVE_S
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2 as events_pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from service_runtime.clients import FileToken, StaticToken, open_channel
from service_runtime.errors import ResourceExhausted, Unavailable
from service_runtime.resume_tokens import ResumeToken
from tests.faults.row import Figures, Row, inject, names
from tests.faults.watch_world import PATIENCE_S, RTSP, WatchWorld
from tests.support.control_plane import running_control_plane
from tests.support.postgres import PostgresSite, postgres_server
from tests.support.refusals import refused
from tests.support.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.virtual_clock import VirtualClock

NAME = "watch"
ROOT = Path(__file__).resolve().parents[2]
_LONG_AGO = timedelta(days=365)


class World(WatchWorld):
    """The world, and how many watch at once when many do."""

    many: int = 1000
    proxy: TcpProxy


Fault = Callable[[World], Awaitable[None]]


async def resume_at_every_revision(world: World) -> None:
    before = await world.head()
    await world.some_changes(8)
    head = await world.head()
    await world.note_history()
    last = world.public(0, head.sequence)[-1]
    places = range(before.sequence, last)
    seen = await asyncio.gather(
        *(
            world.read_on(ResumeToken(feed_id=head.feed_id, sequence=place).encode(), last)
            for place in places
        )
    )
    for place, numbers in zip(places, seen, strict=True):
        world.figures["missed"] += len(set(world.public(place, last)) - set(numbers))
        assert numbers == world.public(place, last), f"resumed at {place} and missed events"


async def resume_before_the_compaction(world: World) -> None:
    old = await world.head()
    await world.some_changes(6)
    await world.note_history()
    database = world.replicas[0].control_plane.parts.database
    await compact(database, older_than=_LONG_AGO, keep=world.dice.randint(0, 3))
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await world.read_on(old.encode(), sys.maxsize)
    for follower in world.followers:
        follower.cut()  # some of them may be late, and have to start afresh


async def delete_just_at_the_compaction(world: World) -> None:
    """Who stands before the removal of a camera starts afresh; who stands at it misses nothing."""
    camera_id = await world.create()
    before = await world.head()
    await world.delete(camera_id)
    at = await world.head()
    await world.some_changes(2)
    head = await world.head()
    await world.note_history()
    database = world.replicas[0].control_plane.parts.database
    await compact(database, older_than=_LONG_AGO, keep=head.sequence - at.sequence)
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await world.read_on(before.encode(), sys.maxsize)
    last = world.public(0, head.sequence)[-1]
    assert await world.read_on(at.encode(), last) == world.public(at.sequence, last)
    stub = ControlPlaneServiceStub(world.channel(world.replicas[0], "manager"))
    call = stub.WatchCameras(pb.WatchCamerasRequest(resume_token=before.encode()))
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await call.read()


async def resume_in_the_future(world: World) -> None:
    head = await world.head()
    ahead = ResumeToken(
        feed_id=head.feed_id, sequence=head.sequence + world.dice.choice((1, 2, 10**12))
    )
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await world.read_on(ahead.encode(), sys.maxsize)
    follower = world.dice.choice(world.followers)
    # so far that the feed does not get there while it comes back
    follower.token = ResumeToken(feed_id=head.feed_id, sequence=10**12).encode()
    follower.cut()
    await world.some_changes(3)


async def slow_consumer(world: World) -> None:
    """Who stops reading is dropped; nobody else notices."""
    control_plane = world.replicas[0].control_plane
    feed = ChangeFeed(control_plane.parts.database, world.clock, longest_lag=3, most_kept=2)
    after = await world.head()
    async with contextlib.aclosing(feed.subscribe(after)) as batches:
        await world.create()
        await anext(batches)
        coming = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        await world.create()
        await coming
        await world.some_changes(8)
        try:
            while True:
                await anext(batches)
        except ResourceExhausted as dropped:
            assert dropped.reason == "SLOW_CONSUMER"  # noqa: PT017 - the loop ends in no other way


async def checkpoint_that_overtakes(world: World) -> None:
    """Checkpoints come while events are under way; resuming at each one must miss nothing."""
    replica = world.dice.choice(world.replicas)
    stub = EventServiceStub(world.channel(replica, "viewer"))
    start = await world.head()
    request = events_pb.WatchEventsRequest(resume_token=start.encode(), types=["camera.created"])
    call = stub.WatchEvents(request)
    begun = asyncio.Event()
    told: list[tuple[str, list[int]]] = []
    seen: list[int] = []

    async def read() -> None:
        async for message in call:
            begun.set()
            place = ResumeToken.decode(message.resume_token)
            if message.HasField("event"):
                seen.append(place.sequence)
            told.append((message.resume_token, list(seen)))

    reading = asyncio.create_task(read())
    await begun.wait()
    changes = asyncio.create_task(world.some_changes(10))
    while not changes.done():
        await world.clock.advance(KEEP_ALIVE_S)
    await changes
    last = await world.create()
    await world.note_history()
    created = [number for number, kind in world.history if kind == "camera.created"]
    end = created[-1]
    async with asyncio.timeout(PATIENCE_S):
        while not seen or seen[-1] < end:
            await world.clock.advance(KEEP_ALIVE_S)
    call.cancel()
    await asyncio.wait({reading})
    assert last in world.ids
    wanted = [number for number in created if start.sequence < number <= end]
    for token, before in world.dice.sample(told, min(6, len(told))):
        if before != wanted:
            after = await world.read_on(token, end, types=["camera.created"])
            world.figures["missed"] += len(set(wanted) - set(before + after))
            assert before + after == wanted, "a checkpoint was ahead of events"


async def half_open_connection(world: World) -> None:
    """Nothing passes any more and nobody says so; the client gives up and comes by another way."""
    follower = world.dice.choice(world.followers)
    follower.through = world.proxy.target
    follower.cut()
    await world.check()
    world.proxy.black_hole()
    await world.some_changes(4)
    follower.through = ""
    follower.cut()
    await world.check()
    world.proxy.heal()


async def late_sliced_and_reset_connections(world: World) -> None:
    follower = world.dice.choice(world.followers)
    world.proxy.latency_s, world.proxy.slice_bytes = 0.001, 16
    follower.through = world.proxy.target
    follower.cut()
    for _ in range(3):
        await world.some_changes(2)
        world.proxy.reset()
    await world.check()
    world.proxy.latency_s, world.proxy.slice_bytes = 0.0, 64 << 10
    follower.through = ""
    follower.cut()


async def all_cut_off_at_once(world: World) -> None:
    for _ in range(3):
        await world.some_changes(2)
        for follower in world.followers:
            follower.cut()


async def many_watchers_and_a_restart(world: World) -> None:
    """Very many follow; the service stops and all come back with their tokens to another run."""
    control_plane = world.replicas[0].control_plane
    start = await world.head()
    tokens = [start] * world.many
    seen: list[list[int]] = [[] for _ in tokens]

    async def follow(feed: ChangeFeed, number: int, until: int) -> None:
        with contextlib.suppress(Unavailable):
            async with contextlib.aclosing(feed.subscribe(tokens[number])) as batches:
                async for batch in batches:
                    seen[number] += [event.sequence for event in batch.events]
                    tokens[number] = batch.resume_token
                    if batch.resume_token.sequence >= until:
                        return

    first = ChangeFeed(control_plane.parts.database, world.clock)
    watching = [asyncio.create_task(follow(first, at, sys.maxsize)) for at in range(world.many)]
    await world.some_changes(5)
    first.close()
    await asyncio.wait(watching)
    await world.some_changes(5)
    end = (await world.head()).sequence
    second = ChangeFeed(control_plane.parts.database, world.clock)
    await asyncio.gather(*(follow(second, at, end) for at in range(world.many)))
    await world.note_history()
    wanted = [number for number, _ in world.history if start.sequence < number <= end]
    world.figures["resumes"] += world.many
    world.figures["missed"] += sum(len(set(wanted) - set(one)) for one in seen)
    assert all(one == wanted for one in seen), "a watcher missed events over a restart"


async def forged_tokens(world: World) -> None:
    """Whatever is done to a token, it is refused or stands for a place that is kept."""
    head = await world.head()
    good = head.encode()
    forged = [
        ResumeToken(feed_id="another", sequence=head.sequence).encode(),
        base64.urlsafe_b64encode(b'["x"]').decode(),
        base64.urlsafe_b64encode(f'["{head.feed_id}",true]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(f'["{head.feed_id}",{10**30}]'.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(f'["{head.feed_id}",-1]'.encode()).decode().rstrip("="),
        "\u00e9" * 5,
        good[:-3],
        *("".join(world.dice.sample(good, len(good))) for _ in range(5)),
    ]
    stub = EventServiceStub(world.channel(world.replicas[0], "viewer"))
    for token in forged:
        call = stub.WatchEvents(events_pb.WatchEventsRequest(resume_token=token))
        with contextlib.suppress(grpc.aio.AioRpcError):
            message = await call.read()
            assert message is grpc.aio.EOF, "a forged token was taken"
        code = await call.code()
        assert code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE}, code
        world.figures["forged_tokens_refused"] += 1


async def rights_that_end_meanwhile(world: World) -> None:
    """A token expires during the watch: the stream ends, and with a new one nothing is missed."""
    replica = world.dice.choice(world.replicas)
    start = await world.head()
    token = replica.token("viewer", lifetime_s=60)
    async with open_channel(replica.target, token=StaticToken(token)) as channel:
        request = events_pb.WatchEventsRequest(resume_token=start.encode())
        call = EventServiceStub(channel).WatchEvents(request)
        await call.read()
        await world.clock.advance(600)
        with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await call.read()  # checkpoints that were under way
        await world.some_changes(3)
        with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"):
            await EventServiceStub(channel).WatchEvents(request).read()
    head = await world.head()
    await world.note_history()
    last = world.public(0, head.sequence)[-1]
    assert await world.read_on(start.encode(), last) == world.public(start.sequence, last)


async def replica_that_is_behind(world: World) -> None:
    """A token of one control plane at another that has not heard of its commits yet."""
    behind, ahead = world.replicas
    async with contextlib.AsyncExitStack() as stack:
        deaf = behind.control_plane.parts.database.committed
        stack.enter_context(patch.object(deaf, "notify", lambda: None))
        stub = ControlPlaneServiceStub(world.channel(ahead, "admin"))
        for _ in range(3):
            created = await stub.CreateCamera(
                pb.CreateCameraRequest(name=f"{world.dice.random()}", connection_string=RTSP)
            )
            world.ids.append(created.data.id)
        place = await world.head()
        call = EventServiceStub(world.channel(behind, "viewer")).WatchEvents(
            events_pb.WatchEventsRequest(resume_token=place.encode())
        )
        await call.read()
        created = await stub.CreateCamera(
            pb.CreateCameraRequest(name=f"{world.dice.random()}", connection_string=RTSP)
        )
        world.ids.append(created.data.id)
        coming = asyncio.ensure_future(call.read())
        while not coming.done():
            await world.clock.advance(1)  # it looks by itself
        message = coming.result()
        assert message.event.camera_id == created.data.id
        call.cancel()


BOTH: tuple[Fault, ...] = (
    resume_at_every_revision,
    resume_before_the_compaction,
    delete_just_at_the_compaction,
    resume_in_the_future,
    slow_consumer,
    checkpoint_that_overtakes,
    half_open_connection,
    late_sliced_and_reset_connections,
    all_cut_off_at_once,
    many_watchers_and_a_restart,
    forged_tokens,
    rights_that_end_meanwhile,
)
REPLICAS: tuple[Fault, ...] = (replica_that_is_behind,)


async def killed_while_watched(folder: Path, *, seed: int, kills: int) -> Counter[str]:
    """SIGKILL of a real control plane while clients watch it; each start goes on where it was."""
    dice = random.Random(seed)
    sockets = Path(tempfile.mkdtemp(prefix="dfip-"))
    target = f"unix:{sockets}/c"
    environ = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}",
        "DFIP_LISTEN": target,
        "DFIP_DATA_DIR": str(folder / "data"),
        "DFIP_TOKENS_DIR": str(folder / "tokens"),
        "DFIP_JWKS_FILE": str(folder / "jwks.json"),
        "DFIP_MEDIA_ROOT": str(folder / "media"),
        "DFIP_INDEX_TARGET": f"unix:{folder}/index.sock",
        "DFIP_LOG_LEVEL": "error",
    }
    watchers = 6
    tokens = [""] * watchers
    seen: list[list[str]] = [[] for _ in tokens]
    created: list[str] = []
    counted: Counter[str] = Counter(kills=kills)

    async def watch(number: int, begun: asyncio.Event) -> None:
        async with open_channel(target, token=FileToken(folder / "data/admin.token")) as channel:
            request = events_pb.WatchEventsRequest(resume_token=tokens[number])
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for message in EventServiceStub(channel).WatchEvents(request):
                    begun.set()
                    tokens[number] = message.resume_token
                    if message.HasField("event"):
                        seen[number].append(message.event.camera.name)
                        if message.event.camera.name == "last":
                            return

    try:
        for turn in range(kills + 1):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "control_plane"), env=environ, cwd=ROOT
            )
            try:
                async with open_channel(target, token=None) as probe:
                    await probe.channel_ready()
                begun = [asyncio.Event() for _ in tokens]
                watching = [
                    asyncio.create_task(watch(number, one)) for number, one in enumerate(begun)
                ]
                for one in begun:
                    await one.wait()
                admin = open_channel(target, token=FileToken(folder / "data/admin.token"))
                stub = ControlPlaneServiceStub(admin)
                last = turn == kills
                for number in range(dice.randint(2, 12)):
                    await _create(stub, name := f"{turn} {number}")
                    created.append(name)
                if last:
                    await _create(stub, "last")
                else:
                    process.send_signal(signal.SIGKILL)
                async with asyncio.timeout(30):
                    await asyncio.gather(*watching)
                await admin.close()
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    counted["resumes"] += watchers * kills
    counted["missed"] += sum(len(set(created) - set(one)) for one in seen)
    assert all(one == [*created, "last"] for one in seen), "a watcher missed events over a SIGKILL"
    return counted


async def _create(stub: Any, name: str) -> None:
    await stub.CreateCamera(pb.CreateCameraRequest(name=name, connection_string=RTSP))


@asynccontextmanager
async def running_world(
    folder: Path, *, seed: int, site: PostgresSite | None = None, many: int = 1000
) -> AsyncIterator[World]:
    """Run a control plane on SQLite, or two on a database of a PostgreSQL server, and watchers."""
    clock = VirtualClock()
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if site is not None:
            settings["database_url"] = site.url(await site.fresh(migrated=False))
        replicas = [
            await stack.enter_async_context(
                running_control_plane(folder / "a", clock=clock, **settings)
            )
        ]
        if site is not None:
            # replicas have the same keys
            shutil.copytree(folder / "a" / "data" / "keys", folder / "b" / "data" / "keys")
            replicas.append(
                await stack.enter_async_context(
                    running_control_plane(folder / "b", clock=clock, **settings)
                )
            )
        world = World(replicas, clock=clock, dice=random.Random(seed))
        world.many = many
        world.proxy = await stack.enter_async_context(tcp_proxy(replicas[0].target))
        await world.start()
        try:
            yield world
        finally:
            await world.stop()
        assert not any(replica.stopping for replica in replicas), "a root task crashed"


async def put_in(
    world: World, faults: tuple[Fault, ...], *, seed: int, rounds: int
) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    world.figures["faults_injected"] += count
    world.figures["resumes"] += sum(follower.resumes for follower in world.followers)
    return world.figures


async def run(seed: int, size: int) -> Figures:
    """Run the whole row on both engines, and kill real processes."""
    found: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="dfip-"))
    try:
        async with running_world(folder / "sqlite", seed=seed) as world:
            found += await put_in(world, BOTH, seed=seed, rounds=size)
        with postgres_server() as server:
            site = PostgresSite(server.get_uri())
            async with running_world(folder / "postgres", seed=seed, site=site) as world:
                found += await put_in(world, BOTH + REPLICAS, seed=seed, rounds=size)
        found += await killed_while_watched(folder / "killed", seed=seed, kills=size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {name: found[name] for name in FIGURES}


FIGURES = (
    "faults_injected", "kills", "changes", "resumes", "missed", "states_unlike_the_database",
    "forged_tokens_refused",
)  # fmt: skip
ROW = Row(name=NAME, faults=(*names(BOTH + REPLICAS), "sigkill while watched"), run=run)
