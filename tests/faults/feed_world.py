"""Writers and watchers of a change feed, what they did and saw, and the model of what must hold.

A change is a row and its event in one transaction; both carry the change's id. What was
acknowledged must be there, row and event, once; what was rolled back must not be there; what broke
during its commit may be there, as a whole. A watcher folds a snapshot and the events after it,
comes back with its token whenever it is thrown out, and must have seen exactly what lies between,
in the one order that the database has; in the end its state is the database's.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from control_plane.database import Database, Transaction
from control_plane.engines.port import CommitUnknown, DatabaseBusy, DatabaseUnavailable, Engine
from control_plane.events.feed import ChangeFeed
from control_plane.events.tables import EventRow
from control_plane.schema import migrate
from control_plane.sightings.tables import ErasedSightingRow
from service_runtime.clock import SystemClock
from service_runtime.errors import OutOfRange, ResourceExhausted, Unavailable
from service_runtime.identifiers import new_id
from service_runtime.resume_tokens import ResumeToken

CHANGE = "test.change"
_PATIENCE_S = 30


class ShiftedClock(SystemClock):
    """The machine's clock, with somebody who sets the wall's, and pauses of a tenth."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 10)


@dataclass(slots=True, kw_only=True)
class Replica:
    """What one control plane has of the feed: its connections, its memory, its listener."""

    database: Database
    feed: ChangeFeed
    listening: "asyncio.Task[None] | None" = None


@dataclass(slots=True, kw_only=True)
class Segment:
    """What a watcher saw of one history without a snapshot in between."""

    feed_id: str
    start: int
    seen: list[tuple[int, str]] = field(default_factory=list)


class Watcher:
    """Folds what it is told; comes back whenever it is thrown out."""

    def __init__(self, world: "FeedWorld", number: int) -> None:
        self._world = world
        self._number = number
        self.state: set[str] = set()
        self.token: ResumeToken | None = None
        self.segments: list[Segment] = []
        self.resumes = self.snapshots = 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.progress = asyncio.Event()
        self._batches: Any = None

    @property
    def replica(self) -> Replica:
        return self._world.replicas[self._number % len(self._world.replicas)]

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._world.up.wait()
            try:
                await self._follow()
            except OutOfRange:
                self.token = None
            except (Unavailable, ResourceExhausted):
                await asyncio.sleep(0.01)  # nothing tells when the server is back

    async def _follow(self) -> None:
        replica = self.replica
        if self.token is None:
            async with replica.database.read() as session:
                self.token = await replica.feed.head(session)
                self.state = set(await session.scalars(select(ErasedSightingRow.id)))
            self.snapshots += 1
            self.segments.append(Segment(feed_id=self.token.feed_id, start=self.token.sequence))
            self.progress.set()
        else:
            self.resumes += 1
        batches = replica.feed.subscribe(self.token)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                for event in batch.events:
                    self.segments[-1].seen.append((event.sequence, event.sighting_id or ""))
                    self.state.add(event.sighting_id or "")
                self.token = batch.resume_token
                self.progress.set()
                await self.may_read.wait()
                if self._world.dice.random() < self._world.leaves:
                    break
        for _ in range(self._world.dice.randrange(200)):  # others go on meanwhile
            await asyncio.sleep(0)

    async def told(self, change: str) -> None:
        """Wait until this watcher knows of a change.

        Raises:
            AssertionError: It never did.
        """
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while change not in self.state:
                    self.progress.clear()
                    await self.progress.wait()
        except TimeoutError:
            raise AssertionError("a watcher was never told of a change") from None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the changes."""

    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


class FeedWorld:
    """A database with its control planes' feeds, writers and watchers.

    Args:
        engine: Makes an engine of the database; called for each replica and each restart.
        replicas: How many control planes there are.
        watchers: How many watch.
        dice: Decides what is random.
    """

    def __init__(
        self,
        engine: Callable[[ShiftedClock], Awaitable[Engine]],
        *,
        replicas: int,
        watchers: int,
        dice: random.Random,
    ) -> None:
        self._engine = engine
        self._count = replicas
        self.clock = ShiftedClock()
        self.dice = dice
        self.leaves = 0.05  # how often a watcher leaves after a batch, to come back
        self.replicas: list[Replica] = []
        self.up = asyncio.Event()
        self.tally = Tally()
        self.histories: dict[str, list[tuple[int, str]]] = {}
        self.watchers = [Watcher(self, number) for number in range(watchers)]
        self.figures: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_postgres(self) -> bool:
        return self._count > 1

    def database(self) -> Database:
        """Return the database as some replica has it."""
        return self.dice.choice(self.replicas).database

    async def start(self) -> None:
        """Open the database and let the watchers watch."""
        await self.open()
        self._tasks = [asyncio.create_task(watcher.run()) for watcher in self.watchers]

    async def open(self) -> None:
        """Start the control planes' part."""
        for _ in range(self._count):
            database = Database(await self._engine(self.clock), self.clock)
            await database.open()
            await migrate(database)
            replica = Replica(database=database, feed=ChangeFeed(database, self.clock))
            replica.listening = asyncio.create_task(database.follow_others())
            self.replicas.append(replica)
        self.up.set()

    async def shut(self) -> None:
        """Stop the control planes' part, as a stop of the service does."""
        self.up.clear()
        for replica in self.replicas:
            replica.feed.close()
            if replica.listening is not None:
                replica.listening.cancel()
                await asyncio.wait({replica.listening})
            await replica.database.close()
        self.replicas.clear()

    async def stop(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.shut()

    # ---- writing

    async def write(
        self,
        count: int = 1,
        *,
        database: Database | None = None,
        before: Callable[[Transaction], Awaitable[None]] | None = None,
        after: Callable[[Transaction], Awaitable[None]] | None = None,
    ) -> list[str]:
        """Make changes in one transaction, note what became of them and return their ids.

        Args:
            count: How many.
            database: Through whose connections; some replica's without.
            before: Runs in the transaction before its events are numbered.
            after: Runs after that, before the commit.
        """
        ids = [new_id() for _ in range(count)]
        through = database or self.database()
        self.figures["changes"] += count
        try:
            await self._transaction(through, ids, before, after)
        except (CommitUnknown, DBAPIError):  # as a file that fails says it
            self.tally.unknown |= set(ids)
        except (DatabaseUnavailable, DatabaseBusy, GaveUp):
            self.tally.refused |= set(ids)
        except asyncio.CancelledError:
            self.tally.unknown |= set(ids)
            raise
        else:
            self.tally.acknowledged |= set(ids)
        return ids

    async def repeat(self, ids: Sequence[str]) -> None:
        """Make the same changes where they are not there yet, as a caller without a reply does."""

        async def step(tx: Transaction) -> None:
            for one in ids:
                if await tx.session.get(ErasedSightingRow, one) is None:
                    tx.session.add(ErasedSightingRow(id=one, erased_at=tx.now))
                    await tx.append_event(CHANGE, sighting_id=one, payload={})

        await self.database().transact(step)
        self.tally.unknown -= set(ids)
        self.tally.refused -= set(ids)
        self.tally.acknowledged |= set(ids)

    @staticmethod
    async def _transaction(
        database: Database,
        ids: Sequence[str],
        before: Callable[[Transaction], Awaitable[None]] | None,
        after: Callable[[Transaction], Awaitable[None]] | None,
    ) -> None:
        async with database.write() as tx:
            tx.session.add_all(ErasedSightingRow(id=one, erased_at=tx.now) for one in ids)
            for one in ids:
                await tx.append_event(CHANGE, sighting_id=one, payload={})
            if before is not None:
                await before(tx)
            await tx.number_events()
            if after is not None:
                await after(tx)

    async def some_writers(self, count: int, *, giving_up: float = 0.0, most: int = 20) -> None:
        """Write from many sides at once, each taking its time before and after it has a number."""

        async def linger(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        async def one(before: int, after: int, *, gives_up: bool) -> None:
            async def then(_: Transaction) -> None:
                await linger(after)
                if gives_up:
                    raise GaveUp

            await self.write(self.dice.randint(1, 3), before=lambda _: linger(before), after=then)

        self.figures["writers"] += count
        await asyncio.gather(
            *(
                one(
                    self.dice.randrange(most),
                    self.dice.randrange(most),
                    gives_up=self.dice.random() < giving_up,
                )
                for _ in range(count)
            )
        )

    # ---- the model

    async def note_history(self) -> None:
        """Note the order that the database has, before anything removes a part of it."""
        async with self.replicas[0].database.read() as session:
            head = await self.replicas[0].feed.head(session)
            known = self.histories.setdefault(head.feed_id, [])
            last = known[-1][0] if known else 0
            query = select(EventRow.sequence, EventRow.sighting_id)
            query = query.where(EventRow.sequence > last).order_by(EventRow.sequence)
            known += [(row.sequence, row.sighting_id) for row in await session.execute(query)]

    async def check(self) -> None:
        """Let the watchers see everything, then hold all against the model."""
        await self._quiet()
        await self.note_history()
        async with self.replicas[0].database.read() as session:
            head = await self.replicas[0].feed.head(session)
            rows = set(await session.scalars(select(ErasedSightingRow.id)))
        order = [change for _, change in self.histories[head.feed_id]]
        double = [change for change, times in Counter(order).items() if times > 1]
        assert not double, f"{len(double)} changes have more than one event"
        lost = self.tally.acknowledged - rows
        self.figures["lost"] += len(lost)
        assert not lost, f"{len(lost)} changes were acknowledged and are lost"
        uninvited = self.tally.refused & rows
        assert not uninvited, f"{len(uninvited)} changes were rolled back and are there"
        assert set(order) <= rows, "an event tells of a change that is not there"
        for watcher in self.watchers:
            self._check_watcher(watcher, rows)

    def _check_watcher(self, watcher: Watcher, rows: set[str]) -> None:
        for segment in watcher.segments:
            order = self.histories.get(segment.feed_id, [])
            until = segment.seen[-1][0] if segment.seen else segment.start
            there = [one for one in order if segment.start < one[0] <= until]
            missed = set(there) - set(segment.seen)
            self.figures["lost"] += len(missed)
            assert not missed, f"a watcher missed {len(missed)} events"
            if segment.seen != there:
                self.figures["out_of_order"] += 1
            assert segment.seen == there, "a watcher saw events out of order, or twice"
        assert watcher.state == rows, "a watcher's state is not the database's"

    async def _quiet(self) -> None:
        """Make a last change and wait until every watcher has seen it."""
        await self.up.wait()
        for watcher in self.watchers:
            watcher.may_read.set()
        marker = new_id()
        while marker not in self.tally.acknowledged:
            with contextlib.suppress(Unavailable):
                await self.repeat([marker])
            await asyncio.sleep(0)
        for watcher in self.watchers:
            await watcher.told(marker)


class GaveUp(Exception):
    """A writer rolled back."""
