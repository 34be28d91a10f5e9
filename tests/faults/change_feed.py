"""The row "change feed": writers of every kind, and not one change lost or out of order.

Every fault runs over a world of ``feed_world`` on SQLite and on PostgreSQL, where two control
planes share the database; what only a server can suffer runs there alone.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Transaction
from control_plane.engines.port import Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.compaction import compact
from service_runtime.secret import Secret
from tests.faults.feed_world import FeedWorld, ShiftedClock
from tests.faults.row import Figures, Row, inject, names
from tests.support.database import place_database
from tests.support.postgres import PostgresSite, postgres_server

NAME = "change feed"
ROOT = Path(__file__).resolve().parents[2]
WATCHERS = 4
KILLED_AT = ("the row", "the event", "the number")
# survives the death of the server; that of the machine is nobody's fault here
_SERVER = "fsync = off\nautovacuum = off\n"

Fault = Callable[["World"], Awaitable[None]]


class World(FeedWorld):
    """A feed's world, and the server or file that it stands on."""

    def __init__(
        self, *, place: "Place", replicas: int, watchers: int, dice: random.Random, large: int
    ) -> None:
        super().__init__(place.engine, replicas=replicas, watchers=watchers, dice=dice)
        self.place = place
        self.large = large


class Place:
    """A SQLite file in a folder, or a database of a PostgreSQL server."""

    def __init__(self, folder: Path, server: Any = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.server = server
        self.site = PostgresSite(server.get_uri()) if server is not None else None
        self.name = ""

    async def prepare(self) -> None:
        """Make the database."""
        if self.site is None:
            place_database(self.folder / "dfip.db")
        else:
            self.name = await self.site.fresh(migrated=False)

    async def engine(self, clock: ShiftedClock) -> Engine:
        """Return an engine of the database."""
        if self.site is None:
            return SqliteEngine(self.folder / "dfip.db")
        return PostgresEngine(self.url, clock)

    @property
    def url(self) -> Secret:
        """Address of the PostgreSQL database."""
        assert self.site is not None
        return self.site.url(self.name)

    @property
    def address(self) -> str:
        """What ``crashing_writer`` takes for it."""
        return str(self.folder / "dfip.db") if self.site is None else self.url.reveal()


# ---- faults of both engines


async def writers_that_commit_out_of_order(world: World) -> None:
    """The earlier number stays uncommitted until others want to commit theirs."""
    began = asyncio.Event()
    others: list[asyncio.Task[str]] = []

    async def hold(tx: Transaction) -> None:
        began.set()
        while not await _somebody_waits(world, tx):
            if others and all(one.done() for one in others):
                # they did not have to wait: they overtook, and somebody shall see it
                await world.watchers[0].told(others[0].result())
                return

    first = asyncio.create_task(world.write(2, after=hold))
    others += [asyncio.create_task(_after(began, world)) for _ in range(2)]
    await asyncio.gather(first, *others)


async def _after(began: asyncio.Event, world: World) -> str:
    await began.wait()
    (change,) = await world.write()
    return change


async def _somebody_waits(world: World, tx: Transaction) -> bool:
    if not world.is_postgres:
        await asyncio.sleep(0)
        return True  # one writer at a time: the others wait for their turn by construction
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(await tx.session.scalar(text(query)))


async def two_hundred_writers_with_random_delay(world: World) -> None:
    await world.some_writers(world.large // 50)


async def rollbacks(world: World) -> None:
    await world.some_writers(20, giving_up=0.5)


async def transaction_that_idles(world: World) -> None:
    """A writer stands still with its number; the server ends it, others go on, scaled from 60 s."""

    async def idle(tx: Transaction) -> None:
        if world.is_postgres:
            scaled = "SET LOCAL idle_in_transaction_session_timeout = '100ms'"
            await tx.session.execute(text(scaled))
        await other_done.wait()

    other_done = asyncio.Event()
    idler = asyncio.create_task(world.write(after=idle))
    if world.is_postgres:
        await world.some_writers(3)
    else:
        # the one writer's place is held: watching and reading go on, and so must coming back
        late = world.replicas[0].feed
        async with world.replicas[0].database.read() as session:
            await late.head(session)
    other_done.set()
    await idler


async def retention_removes_what_a_reader_needs(world: World) -> None:
    at = world.dice.randrange(WATCHERS)
    watcher, neighbour = world.watchers[at], world.watchers[(at + 2) % WATCHERS]
    watcher.may_read.clear()
    for _ in range(3):
        await world.some_writers(5)
    await world.note_history()
    await compact(world.database(), older_than=timedelta(days=365), keep=world.dice.randint(0, 4))
    # on the same replica, whose memory has let go of it, too, once it shows what came after
    (change,) = await world.write()
    await neighbour.told(change)
    watcher.may_read.set()


async def clock_set_back(world: World) -> None:
    await world.some_writers(3)
    world.clock.shift -= timedelta(hours=world.dice.randint(1, 48))
    await world.some_writers(3)
    await world.note_history()
    removed = await compact(world.database(), older_than=timedelta(days=3), keep=10**6)
    assert removed == 0, "events of the future were taken for old ones"


async def many_changes_in_one_transaction(world: World) -> None:
    await asyncio.gather(world.write(world.large), world.some_writers(3))


async def reply_lost_after_commit(world: World) -> None:
    """The commit happens and the caller never hears of it, so it does everything once more."""
    real = AsyncSession.commit

    async def commit(session: AsyncSession) -> None:
        await real(session)
        raise _connection_lost()

    with patch("control_plane.engines.sessions.FinishingSession.commit", commit):
        ids = await world.write(3)
    assert not world.tally.refused & set(ids), "called refused, and it is there"
    await world.repeat(ids)


def _connection_lost() -> DBAPIError:
    return DBAPIError(
        "COMMIT", {}, Exception("the connection is gone"), connection_invalidated=True
    )


async def caller_cancelled_at_any_moment(world: World) -> None:
    for _ in range(10):
        writing = asyncio.create_task(world.write(2))
        for _ in range(world.dice.randrange(60)):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait({writing})


async def watchers_that_come_and_go(world: World) -> None:
    before, world.leaves = world.leaves, 0.7
    for _ in range(4):
        await world.some_writers(5)
    world.leaves = before


async def restart_under_load(world: World) -> None:
    writing = asyncio.create_task(world.some_writers(20))
    for _ in range(world.dice.randrange(40)):
        await asyncio.sleep(0)
    await writing
    await world.note_history()
    await world.shut()
    await world.open()


async def sigkill_between_row_and_event(world: World) -> None:
    """Another process dies inside its transaction: after the row, the event, the number."""
    ids = [f"killed-{world.dice.getrandbits(60):x}" for _ in KILLED_AT]
    for one, point in zip(ids, KILLED_AT, strict=True):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.crashing_writer"),
            *(world.place.address, point, one),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}"},
        )
        assert await process.wait() == -signal.SIGKILL
        world.figures["kills"] += 1
    world.tally.refused |= set(ids)
    await world.write()


# ---- faults of a server


async def notices_that_never_come(world: World) -> None:
    """A replica does not hear of the other's commits, and finds them by looking."""
    deaf, other = world.replicas
    assert deaf.listening is not None
    deaf.listening.cancel()
    await asyncio.wait({deaf.listening})
    await world.write(3, database=other.database)
    await world.check()
    deaf.listening = asyncio.create_task(deaf.database.follow_others())


async def postgres_stopped_at_once_under_load(world: World) -> None:
    server = world.place.server
    process = server.get_postmaster_info().process
    writing = asyncio.create_task(world.some_writers(40))
    for _ in range(world.dice.randrange(200)):
        await asyncio.sleep(0)
    os.kill(server.get_pid(), signal.SIGQUIT)  # at once, without a checkpoint
    await asyncio.to_thread(process.wait)
    await writing
    await asyncio.to_thread(server.ensure_postgres_running)
    world.figures["server_kills"] += 1


async def restore_from_a_dump(world: World) -> None:
    """The database is put back; what came after the dump is gone, and watchers must notice."""
    assert world.place.site is not None
    await world.check()
    dump = world.place.folder / "dump"
    await _tool(world, "pg_dump", "-Fc", "-f", str(dump), world.place.name)
    kept = set(world.tally.acknowledged)
    await world.some_writers(5)
    await world.check()
    await world.shut()
    await world.place.site.drop(world.place.name)
    await _tool(world, "createdb", "-T", "template0", world.place.name)
    await _tool(world, "pg_restore", "-d", world.place.name, str(dump))
    world.tally.acknowledged &= kept
    world.tally.unknown.clear()
    before = sum(watcher.snapshots for watcher in world.watchers)
    await world.open()
    # the same numbers now tell of other changes
    await world.some_writers(5)
    await world.check()
    again = sum(watcher.snapshots for watcher in world.watchers) - before
    assert again == len(world.watchers), "a watcher went on as if nothing had been put back"


async def _tool(world: World, program: str, *arguments: str) -> None:
    # beside the server that runs
    programs = psutil.Process(world.place.server.get_pid()).exe().rpartition("/")[0]
    info = world.place.server.get_postmaster_info()
    done = await asyncio.to_thread(
        subprocess.run,
        [f"{programs}/{program}", "-h", str(info.socket_dir), "-U", "postgres", *arguments],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


BOTH: tuple[Fault, ...] = (
    writers_that_commit_out_of_order,
    two_hundred_writers_with_random_delay,
    rollbacks,
    transaction_that_idles,
    retention_removes_what_a_reader_needs,
    clock_set_back,
    many_changes_in_one_transaction,
    reply_lost_after_commit,
    caller_cancelled_at_any_moment,
    watchers_that_come_and_go,
    restart_under_load,
)
SERVER: tuple[Fault, ...] = (
    notices_that_never_come,
    postgres_stopped_at_once_under_load,
    restore_from_a_dump,
)
PROCESSES: tuple[Fault, ...] = (sigkill_between_row_and_event,)


@asynccontextmanager
async def running_world(
    folder: Path, *, seed: int, server: Any = None, large: int = 10_000
) -> AsyncIterator[World]:
    """Run a world on SQLite, or on a server of PostgreSQL with two replicas."""
    place = Place(folder, server)
    await place.prepare()
    world = World(
        place=place,
        replicas=1 if server is None else 2,
        watchers=WATCHERS,
        dice=random.Random(seed),
        large=large,
    )
    await world.start()
    try:
        yield world
    finally:
        await world.stop()
        if place.site is not None:
            await place.site.drop(place.name)


@contextlib.contextmanager
def own_server() -> Any:
    """Run a PostgreSQL server that may be killed."""
    with postgres_server(_SERVER) as server:
        yield server


async def run(seed: int, size: int) -> Figures:
    """Run the whole row on both engines."""
    found: Counter[str] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="dfip-"))
    try:
        async with running_world(folder / "sqlite", seed=seed) as world:
            found += await put_in(world, BOTH + PROCESSES, seed=seed, rounds=size)
        with own_server() as server:
            async with running_world(folder / "postgres", seed=seed, server=server) as world:
                faults = BOTH + SERVER + PROCESSES
                found += await put_in(world, faults, seed=seed, rounds=size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {name: found[name] for name in FIGURES}


async def put_in(
    world: World, faults: tuple[Fault, ...], *, seed: int, rounds: int
) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    world.figures["faults_injected"] += count
    world.figures["resumes"] += sum(watcher.resumes for watcher in world.watchers)
    world.figures["snapshots"] += sum(watcher.snapshots for watcher in world.watchers)
    return world.figures


FIGURES = (
    "faults_injected", "changes", "writers", "kills", "server_kills", "resumes", "snapshots",
    "lost", "out_of_order",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(BOTH + SERVER + PROCESSES), run=run)
