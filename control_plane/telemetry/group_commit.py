"""One transaction for all who wait: reports that come at the same time share a commit.

Whoever has a batch puts it in line and waits. One task takes what has gathered, writes it in one
transaction, and only after the commit answers each of them; meanwhile the next ones gather. So the
cost of a commit is shared by as many as there are, and nobody waits for a timer. The line is
bounded: a caller is refused when it is full, a stream waits for room and so slows down its sender.

What nobody foresaw about one batch must not keep the others out: a group that fails is halved until
the one that fails is alone.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError

from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.database import Database, Transaction
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from control_plane.telemetry.days import DAY_US, telemetry_days
from control_plane.telemetry.model import Batch
from control_plane.telemetry.plan import Plan
from control_plane.telemetry.store import touch, write_group
from service_runtime.clock import Clock
from service_runtime.errors import ResourceExhausted, ServiceError, Unavailable
from service_runtime.structured_logging import get_logger

CONTACT_EVERY_S: Final = 1.0
MOST_WAITING: Final = 50_000
MOST_IN_A_GROUP: Final = 10_000
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    batch: Batch
    written: asyncio.Future[None]

    @property
    def weight(self) -> int:
        # an empty batch takes its place too
        return len(self.batch.samples) + 1

    def answer(self, error: BaseException | None = None) -> None:
        if self.written.done():
            return  # its caller has left
        if error is None:
            self.written.set_result(None)
        else:
            self.written.set_exception(error)


class GroupCommit:
    """The line of batches; ``run`` is the task that writes them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        occupancy: OccupancyWatch | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database = database
        self._clock = clock
        self._occupancy = occupancy
        self._days = telemetry_days(database)
        self._most_waiting = most_waiting
        self._line: deque[_Waiting] = deque()
        self._weight = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        # monotonic time at which each camera's last contact was written
        self._contacts: dict[str, float] = {}

    async def write(self, batch: Batch, *, patient: bool = False) -> None:
        """Write a batch; when this returns, it is durable.

        Args:
            batch: What to write.
            patient: Wait for room in the line instead of being refused.

        Raises:
            ServiceError: The batch may not be written; see ``plan.plan_group``.
            ResourceExhausted: ``TELEMETRY_QUEUE_FULL``.
            Unavailable: The database takes nothing, or the service stops.
        """
        while self._weight >= self._most_waiting and not self._closed:
            if not patient:
                raise ResourceExhausted(
                    "TELEMETRY_QUEUE_FULL",
                    "More telemetry arrives than can be written; slow down and send it again.",
                )
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise _stopping()
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        self._weight += waiting.weight
        self._work.set()
        await waiting.written

    async def run(self) -> None:
        """Write what gathers, for ever."""
        group: list[_Waiting] = []
        try:
            while True:
                await self._work.wait()
                group = self._take()
                await self._commit(group)
        finally:
            self._closed = True
            self._room.set()
            for waiting in (*group, *self._line):
                waiting.answer(_stopping())
            self._line.clear()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        weight = 0
        while self._line and (not group or weight + self._line[0].weight <= MOST_IN_A_GROUP):
            waiting = self._line.popleft()
            weight += waiting.weight
            group.append(waiting)
        self._weight -= weight
        if not self._line:
            self._work.clear()
        self._room.set()
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            refused = await self._transaction([waiting.batch for waiting in group])
        except (OperationalError, InterfaceError, DatabaseUnavailable, DatabaseBusy) as error:
            # nobody's batch is at fault: the disk is full, or the database is away
            _log.error("telemetry.not_written", batches=len(group), error=type(error).__name__)
            self._days.forget()  # it may be another one when it is back
            for waiting in group:
                waiting.answer(_database_away())
        except Exception as error:  # noqa: BLE001 - told to the one it is about; the others go on
            if len(group) == 1:
                group[0].answer(error)
                return
            middle = len(group) // 2
            await self._commit(group[:middle])
            await self._commit(group[middle:])
        else:
            for index, waiting in enumerate(group):
                waiting.answer(refused.get(index))

    async def _transaction(self, batches: Sequence[Batch]) -> dict[int, ServiceError]:
        """Write a group and return whom to refuse; when this returns, the rest is durable."""
        now = self._clock.monotonic()
        await self._days.require(
            {sample.observed_us // DAY_US for batch in batches for sample in batch.samples}
        )

        async def write(tx: Transaction) -> tuple[Plan, list[str]]:
            plan = await write_group(tx, batches)
            due = [camera_id for camera_id in sorted(plan.heard) if self._is_due(camera_id, now)]
            if due:
                await touch(tx, due)
            if self._occupancy is not None and self._occupancy.is_watching:
                await self._occupancy.note(tx, plan.samples)
            return plan, due

        plan, due = await self._database.transact(write)
        self._contacts = {
            camera_id: at for camera_id, at in self._contacts.items() if now - at < CONTACT_EVERY_S
        } | dict.fromkeys(due, now)
        return plan.refused

    def _is_due(self, camera_id: str, now: float) -> bool:
        written_at = self._contacts.get(camera_id)
        return written_at is None or now - written_at >= CONTACT_EVERY_S


def _stopping() -> Unavailable:
    return Unavailable("SERVICE_STOPPING", "The service restarts; send it again.")


def _database_away() -> Unavailable:
    return Unavailable(
        "DATABASE_UNAVAILABLE", "The database takes nothing now; send it again later."
    )
