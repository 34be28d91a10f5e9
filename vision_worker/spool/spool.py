"""The worker's side of the spool: reports in, numbered batches out, all on the event loop.

What is added gathers in a line; one task takes what is there, has a thread of the spool's own write
it in one commit, and cuts from it what may be sent. So the pipeline never waits for a disk, and a
batch is durable under its number before it leaves. When the disk takes nothing, the same goes on in
memory, within a bound and under another session, and the file is tried again; what was in it stays
there meanwhile. ``gateway`` sends what ``next_batch`` returns.

A session is one opening of a store. Batches that an earlier process left are sent under its session
until they are acknowledged, then comes the session of this one; ``session_id`` says which is due.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id
from service_runtime.structured_logging import get_logger
from vision_worker.spool.files import SpoolFolder, is_damage, trouble_of
from vision_worker.spool.line import Durable, Line
from vision_worker.spool.model import (
    DEFAULT_LIMITS,
    Batch,
    BatchName,
    Change,
    Holding,
    Kind,
    Renewal,
    Sighting,
    SpoolLimits,
)
from vision_worker.spool.opening import Opened, Opener
from vision_worker.spool.store import Store, open_store

RETRY_S: Final = 10.0
_TIDY_EVERY: Final = 6  # retries
_LOOK_FOR_OLD_EVERY: Final = 60  # tidyings
_log = get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStatus:
    """How the spool does; what is counted, since the worker started.

    Attributes:
        sightings_pending: not safe yet.
        telemetry_pending: samples that are not.
        sightings_acknowledged: safe.
        telemetry_acknowledged: samples that are.
        sightings_dropped: given up, because too much waited or for too long.
        telemetry_dropped: samples likewise.
        telemetry_rejected: samples that the control plane refused.
        damaged: rows of the file whose content was not what was written: a sighting, or samples.
        bytes: size of the file, and of what is in memory in its place.
        trouble: why nothing is written to the disk: ``full``, ``read_only``, ``in_use`` or
            ``failed``; empty where it is.
        refusals: how often the disk took nothing.
        set_aside: files that could not be used.
    """

    sightings_pending: int = 0
    telemetry_pending: int = 0
    sightings_acknowledged: int = 0
    telemetry_acknowledged: int = 0
    sightings_dropped: int = 0
    telemetry_dropped: int = 0
    telemetry_rejected: int = 0
    damaged: int = 0
    bytes: int = 0
    trouble: str = ""
    refusals: int = 0
    set_aside: int = 0


class ReportSpool:
    """The reports of one camera.

    Args:
        folder: Where its file is; nobody else's.
        camera_id: The camera. A file that is another's is not used.
        clock: Where time comes from.
        limits: Bounds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        camera_id: str,
        clock: Clock,
        limits: SpoolLimits = DEFAULT_LIMITS,
    ) -> None:
        self._opener = Opener(folder=SpoolFolder(folder), camera_id=camera_id, limits=limits)
        self._camera_id = camera_id
        self._clock = clock
        self._limits = limits
        self._wake: Callable[[], None] = _nobody
        self._troubled: Callable[[], None] = _nobody
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._lock = -1
        # where it writes now is `_current`: the file, or memory while the disk takes nothing
        self._file: Store | None = None
        self._memory: Store | None = None
        self._current: Store
        self._holding: dict[Store, Holding] = {}
        self._line = Line()
        self._writing = Line()
        self._work = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: deque[Batch] = deque()
        self._unsent: dict[Kind, deque[Batch]] = {kind: deque() for kind in Kind}
        self._to_forget: dict[tuple[str, Kind], BatchName] = {}
        self._renewal: Renewal | None = None
        self._counted = SpoolStatus()
        self._retry_at = 0.0

    async def open(self) -> None:
        """Begin with what an earlier process left; afterwards reports may come."""
        await self._open_file()
        self._current = self._file or self._open_memory()
        self._tasks = [
            asyncio.create_task(self._write(), name="spool-write"),
            asyncio.create_task(self._tend(), name="spool-tend"),
        ]
        self._work.set()

    async def run(self) -> None:
        """Wait until the spool is closed; a mistake in it shows here."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def close(self) -> None:
        """Write what is left and let go of the file."""
        self._closing = True
        self._work.set()
        if self._tasks:
            writing, tending = self._tasks
            tending.cancel()
            await asyncio.gather(writing, tending, return_exceptions=True)
        for store in (self._file, self._memory):
            if store is not None:
                await self._in_thread(store.close)
        self._thread.shutdown()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def listen(self, *, wake: Callable[[], None], troubled: Callable[[], None]) -> None:
        """Say whom to tell: ``wake`` that there is something to send, ``troubled`` of the disk."""
        self._wake, self._troubled = wake, troubled

    @property
    def status(self) -> SpoolStatus:
        """Return how the spool does."""
        under_way = dict.fromkeys(Kind, 0)
        for batch in self._under_way:
            under_way[batch.name.kind] += batch.records
        lines, held = (self._line, self._writing), self._holding.values()
        return replace(
            self._counted,
            sightings_pending=under_way[Kind.SIGHTINGS]
            + sum(store.sightings for store in held)
            + sum(len(line.sightings) for line in lines),
            telemetry_pending=under_way[Kind.TELEMETRY]
            + sum(store.samples for store in held)
            + sum(line.samples for line in lines),
            bytes=sum(store.bytes for store in held),
        )

    @property
    def is_empty(self) -> bool:
        """Return whether all that was added is safe."""
        status = self.status
        return not status.sightings_pending and not status.telemetry_pending

    @property
    def session_id(self) -> str:
        """Return the session of the batches that are due."""
        if self._under_way:
            return self._under_way[0].name.session_id
        return self._current.session_id

    def add_sighting(self, report: gateway_pb2.SightingReport) -> Durable:
        """Take a new sighting, or a newer revision of one."""
        data = report.SerializeToString()
        self._line.add(Sighting(id=report.id, revision=report.revision, data=data))
        return self._added()

    def add_telemetry(self, samples: Sequence[telemetry_pb2.TelemetrySample]) -> Durable:
        """Take samples, oldest first."""
        self._line.extend(samples, portion=self._limits.portion_samples)
        return self._added()

    def next_batch(self) -> Batch | None:
        """Return what to send now, sightings first; None when nothing waits or enough is under way.

        Telemetry gets its turn, because only so many batches of sightings are under way at once.
        """
        if self._renewal is not None:
            return None  # nothing leaves under a name that is not durable
        due = self.session_id
        for unsent in self._unsent.values():
            if unsent and unsent[0].name.session_id == due:
                return unsent.popleft()
        return None

    def acknowledge(self, name: BatchName) -> None:
        """Forget every batch of this kind and session up to this one: it is durable."""
        safe = [batch for batch in self._under_way if _is_up_to(batch.name, name)]
        if not safe:
            return  # an answer to what was sent twice
        self._under_way = deque(batch for batch in self._under_way if batch not in safe)
        unsent = self._unsent[name.kind]
        while unsent and _is_up_to(unsent[0].name, name):
            unsent.popleft()
        records = sum(batch.records for batch in safe)
        if name.kind is Kind.SIGHTINGS:
            self._count(sightings_acknowledged=records)
        else:
            self._count(telemetry_acknowledged=records)
        self._to_forget[(name.session_id, name.kind)] = name
        self._work.set()

    def note_unsound(self, *, sightings: int = 0, samples: int = 0) -> None:
        """Count reports that were not added, because the contract has no place for them."""
        self._count(sightings_dropped=sightings, telemetry_dropped=samples)

    def note_rejected(self, samples: int) -> None:
        """Count samples that the control plane refused."""
        self._count(telemetry_rejected=samples)

    def rewind(self) -> None:
        """After a reconnect: send again, in order and unchanged, what was not acknowledged."""
        for kind, unsent in self._unsent.items():
            unsent.clear()
            unsent.extend(batch for batch in self._under_way if batch.name.kind is kind)

    def renew_session(self) -> None:
        """Send what is under way under new names: the control plane cannot go on with the session.

        So it is when it lost batches that it had acknowledged, as after the restore of a backup.
        """
        if self._renewal is not None:
            return
        numbers = dict.fromkeys(Kind, 0)
        session_id, moves, renamed = new_id(), list[tuple[BatchName, int]](), deque[Batch]()
        for batch in self._under_way:
            kind = batch.name.kind
            numbers[kind] += 1
            moves.append((batch.name, numbers[kind]))
            renamed.append(_renamed(batch, session_id, numbers[kind]))
        self._under_way = renamed
        self._renewal = Renewal(session_id=session_id, moves=moves)
        self.rewind()
        self._work.set()
        _log.warning("spool.session_renewed", batches=len(moves))

    def _added(self) -> Durable:
        durable: Durable = asyncio.get_running_loop().create_future()
        self._line.waiting.append(durable)
        while self._line.bytes > self._limits.memory_bytes:  # the disk is too slow
            sightings, samples = self._line.drop_oldest()
            self._count(sightings_dropped=sightings, telemetry_dropped=samples)
        self._work.set()
        return durable

    async def _write(self) -> None:
        """Commit what gathers, until the spool is closed and all is written."""
        while True:
            await self._work.wait()
            self._work.clear()
            if self._counted.trouble and self._clock.monotonic() >= self._retry_at:
                await self._try_the_disk()
            self._writing, self._line = self._line, Line()
            await self._commit(self._writing)
            if self._closing and not self._line:
                return

    async def _commit(self, line: Line) -> None:
        change = self._change(line)
        try:
            outcome = await self._in_thread(self._current.commit, change)
        except (sqlite3.Error, OSError) as error:
            await self._lose_the_disk(error)
            change = self._change(line)
            outcome = await self._in_thread(self._current.commit, change)
        if self._current is self._file:  # in memory nothing is forgotten for the file
            for name in change.acknowledged:
                if self._to_forget.get((name.session_id, name.kind)) == name:
                    del self._to_forget[(name.session_id, name.kind)]
        self._renewal = None
        self._writing = Line()
        self._holding[self._current] = outcome.holding
        self._count(
            sightings_dropped=outcome.dropped_sightings,
            telemetry_dropped=outcome.dropped_samples,
            damaged=outcome.damaged,
        )
        for batch in outcome.batches:
            self._under_way.append(batch)
            self._unsent[batch.name.kind].append(batch)
        for durable in line.waiting:
            if not durable.done():
                durable.set_result(self._current is self._file)
        self._wake()

    def _change(self, line: Line) -> Change:
        return Change(
            now_s=self._clock.now().timestamp(),
            sightings=list(line.sightings.values()),
            portions=line.portions(portion=self._limits.portion_samples),
            acknowledged=list(self._to_forget.values()),
            renewal=self._renewal,
            cut=self._wanted(),
        )

    def _wanted(self) -> dict[Kind, int]:
        """Return how many batches may be cut; none before those of earlier sessions are safe."""
        under_way = dict.fromkeys(Kind, 0)
        session_id = self._renewal.session_id if self._renewal else self._current.session_id
        for batch in self._under_way:
            if batch.name.session_id != session_id:
                return {}
            under_way[batch.name.kind] += 1
        return {kind: self._limits.under_way(kind) - under_way[kind] for kind in Kind}

    async def _open_file(self) -> None:
        now_s = self._clock.now().timestamp()
        opened = await self._in_thread(self._opener.open, lock=self._lock, now_s=now_s)
        await self._take_over(opened)

    async def _replace_file(self) -> None:
        """Set a file aside that turned out to be damaged, and begin a new one."""
        if self._file is not None:
            self._holding.pop(self._file, None)
            await self._in_thread(self._file.close)
            self._file = None
        opened = await self._in_thread(self._opener.replace, lock=self._lock, reason="damaged")
        # what is under way is known here already
        await self._take_over(replace(opened, under_way=()))

    async def _take_over(self, opened: Opened) -> None:
        self._lock, self._file = opened.lock, opened.store
        if opened.set_aside:
            self._count(set_aside=1)
            _log.error(
                "spool.set_aside",
                reason=opened.set_aside,
                file=str(self._opener.folder.aside),
                sightings_salvaged=opened.salvaged.sightings,
                samples_salvaged=opened.salvaged.samples,
            )
            self._count(telemetry_dropped=opened.salvaged.given_up)
        if opened.error is not None:
            self._note_trouble(opened.error)
        if opened.store is not None:
            self._holding[opened.store] = await self._in_thread(opened.store.holding)
            for batch in opened.under_way:
                self._under_way.append(batch)
                self._unsent[batch.name.kind].append(batch)
            self._count(
                sightings_dropped=opened.dropped_sightings,
                telemetry_dropped=opened.dropped_samples,
                damaged=opened.damaged,
            )

    def _open_memory(self) -> Store:
        self._memory = open_store(None, camera_id=self._camera_id, limits=self._limits)
        return self._memory

    async def _lose_the_disk(self, error: Exception) -> None:
        """Go on in memory, or with a new file where the old one is damaged."""
        if self._current is not self._file:
            raise error  # memory takes everything: this is a mistake in here
        if is_damage(error):
            await self._replace_file()
        else:
            self._note_trouble(error)
        if self._counted.trouble or self._file is None:
            self._current = self._open_memory()
        else:
            self._current = self._file

    def _note_trouble(self, error: Exception) -> None:
        trouble = trouble_of(error)
        self._retry_at = self._clock.monotonic() + RETRY_S
        self._count(refusals=1)
        if trouble != self._counted.trouble:
            _log.error("spool.in_memory", reason=trouble, error=str(error))
            self._counted = replace(self._counted, trouble=trouble)
            self._troubled()

    async def _try_the_disk(self) -> None:
        """Move what waits in memory into the file, where it can be written again."""
        self._retry_at = self._clock.monotonic() + RETRY_S
        if self._file is None:
            await self._open_file()
        file, memory = self._file, self._memory
        if file is None or memory is None:
            return
        sightings, portions = await self._in_thread(memory.waiting)
        change = Change(
            now_s=self._clock.now().timestamp(),
            sightings=sightings,
            portions=portions,
            acknowledged=list(self._to_forget.values()),
        )
        try:
            outcome = await self._in_thread(file.commit, change)
        except (sqlite3.Error, OSError) as error:
            if is_damage(error):
                await self._replace_file()
            else:
                self._note_trouble(error)
            return
        file.begin_session()
        self._current, self._memory = file, None
        await self._in_thread(memory.close)
        self._holding = {file: outcome.holding}
        self._count(
            sightings_dropped=outcome.dropped_sightings, telemetry_dropped=outcome.dropped_samples
        )
        self._counted = replace(self._counted, trouble="")
        _log.info("spool.on_disk_again")
        self._troubled()

    async def _tend(self) -> None:
        """Keep the file small, and look after a disk that took nothing."""
        rounds = 0
        while True:
            await self._clock.sleep(RETRY_S)
            rounds += 1
            if self._counted.trouble:
                self._work.set()
            elif self._file is not None and rounds % _TIDY_EVERY == 0:
                await self._tidy(
                    self._file, look_for_old=rounds % (_TIDY_EVERY * _LOOK_FOR_OLD_EVERY) == 0
                )

    async def _tidy(self, file: Store, *, look_for_old: bool) -> None:
        try:
            if look_for_old:
                before_s = self._clock.now().timestamp() - self._limits.longest_s
                await self._in_thread(self._opener.folder.forget_aside, before_s)
                outcome = await self._in_thread(file.drop_older, before_s)
                self._holding[file] = outcome.holding
                self._count(
                    sightings_dropped=outcome.dropped_sightings,
                    telemetry_dropped=outcome.dropped_samples,
                )
            await self._in_thread(file.tidy)
        except (sqlite3.Error, OSError) as error:
            # the next commit meets the same, and deals with it
            _log.warning("spool.not_tidied", error=str(error))

    def _count(self, **more: int) -> None:
        changed = {name: getattr(self._counted, name) + count for name, count in more.items()}
        self._counted = replace(self._counted, **changed)

    async def _in_thread(
        self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*arguments, **named)
        )


def _nobody() -> None:
    """Tell nobody: the gateway is not there yet."""


def _is_up_to(name: BatchName, last: BatchName) -> bool:
    return (
        name.session_id == last.session_id
        and name.kind is last.kind
        and name.sequence <= last.sequence
    )


def _renamed(batch: Batch, session_id: str, sequence: int) -> Batch:
    message = gateway_pb2.ConnectRequest()
    message.CopyFrom(batch.message)
    if batch.name.kind is Kind.SIGHTINGS:
        message.sightings.sequence = sequence
    else:
        message.telemetry.sequence = sequence
    name = BatchName(session_id=session_id, kind=batch.name.kind, sequence=sequence)
    return Batch(name=name, records=batch.records, message=message)
