"""Workers that share processes: several cameras in each, handed over and taken back one by one.

A shared process is started without a camera and told of each on its socket, so that the first is as
the others. Its death is the end of all its cameras; who dies too often is parted from the others
(`placement.py`). A camera that ended inside a living process is found by asking the process what it
holds; what it holds and should not is taken from it. An emptied process ends. ``process`` owns the
cameras' records; here is who is where.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camera_manager.runtimes.living_process import (
    SLOT_VARIABLE,
    LivingProcess,
    classify_exit,
    create_time_of,
    end_gently,
    is_worker,
)
from camera_manager.runtimes.placement import Place, Suspicion, after_death, choose, room_of
from camera_manager.runtimes.port import EndKind
from camera_manager.runtimes.spawning import Spawner
from camera_manager.runtimes.worker_calls import Answer, WorkerCalls
from camera_manager.runtimes.worker_log import trim_log
from service_runtime.clock import Clock
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_NAME = re.compile(r"packed-[0-9]{4}")
_ASK_EVERY_S = 5.0
_HAND_OVER_AGAIN_S = 0.2
_DROP_S = 5.5  # a worker cuts a camera off after four seconds of its own
_SLOT_GRACE_S = 5.0
_ENDINGS = {
    "drained": EndKind.DRAINED,
    "superseded": EndKind.DRAINED,
    "token_refused": EndKind.TOKEN_REFUSED,
}
_UNEXPLAINED = frozenset({EndKind.CRASHED, EndKind.KILLED, EndKind.HUNG, EndKind.OUT_OF_MEMORY})


@dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """A shared process.

    Attributes:
        name: of its folder and its socket.
        process: the process.
        create_time: when the kernel made it, in seconds.
        target: where it listens.
        room: how many cameras it is for.
        members: its cameras.
        mute: it did not answer when it was asked: nobody is placed there until it does.
        ending: it is told to end, or has: nobody is placed there any more.
    """

    name: str
    process: LivingProcess
    create_time: float
    target: str
    room: int
    members: "dict[str, _Member]" = field(default_factory=dict)
    mute: bool = False
    ending: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class _Member:
    """A camera in a slot; ``delivered`` once the process has answered that it holds it."""

    camera_id: str
    slot: Slot
    delivered: bool = False
    delivery: "asyncio.Task[None] | None" = None


class PackedProcesses:
    """The shared processes.

    Args:
        spawner: Starts one.
        workers_dir: Each has its folder below.
        sockets_dir: Each listens below.
        calls: Speaks to them.
        clock: Where time comes from.
        capacity: Cameras a process.
        on_end: Called with the camera and how its worker ended.
    """

    def __init__(
        self,
        *,
        spawner: Spawner,
        workers_dir: Path,
        sockets_dir: Path,
        calls: WorkerCalls,
        clock: Clock,
        capacity: int,
        on_end: Callable[[str, EndKind], None],
    ) -> None:
        self._spawner = spawner
        self._workers_dir = workers_dir
        self._sockets_dir = sockets_dir
        self._calls = calls
        self._clock = clock
        self._capacity = capacity
        self._on_end = on_end
        self._slots: dict[str, Slot] = {}
        self._members: dict[str, _Member] = {}
        self._suspicions: dict[str, Suspicion] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> frozenset[int]:
        """The living processes."""
        return frozenset(slot.process.pid for slot in self._slots.values())

    def target(self, camera_id: str) -> str | None:
        """Return where the process of a camera is reached."""
        member = self._members.get(camera_id)
        return None if member is None else member.slot.target

    def place(self, camera_id: str, token: Secret) -> Slot:
        """Put a camera into a process, a new one if need be; it is handed over afterwards.

        Raises:
            OSError: No process can be had.
        """
        now = self._clock.monotonic()
        room = room_of(self._suspicions.get(camera_id), most=self._capacity, now=now)
        name = choose(
            (
                Place(name=slot.name, cameras=len(slot.members), room=slot.room)
                for slot in self._slots.values()
                if not (slot.ending or slot.mute)
            ),
            room=room,
        )
        slot = self._start(room) if name is None else self._slots[name]
        member = self._join(camera_id, slot)
        member.delivery = self._in_background(self._deliver(member, token))
        _log.info("worker.placed", camera_id=camera_id, slot=slot.name, cameras=len(slot.members))
        return slot

    def adopt(self, camera_id: str, *, name: str, pid: int, create_time: float) -> bool:
        """Take over a camera of a process that a lost manager left; False where that is gone."""
        slot = self._slots.get(name)
        if slot is not None and slot.process.pid != pid:
            return False
        if slot is None:
            slot = self._adopted(name, pid, create_time)
        if slot is None:
            return False
        self._join(camera_id, slot).delivered = True
        return True

    def withdraw(self, camera_id: str) -> None:
        """Undo a placement before anything else could happen."""
        self._leave(self._members[camera_id])

    async def drop(self, camera_id: str, *, reason: str, grace_s: float) -> None:
        """Take a camera back; the process ends with its last. Return once it is gone."""
        member = self._members.get(camera_id)
        if member is None:
            return
        slot = member.slot
        if member.delivery is not None:
            member.delivery.cancel()
            await asyncio.wait({member.delivery})
            if self._members.get(camera_id) is not member:
                return  # that was its end
        if len(slot.members) == 1:
            await self._end(slot, reason=reason, grace_s=grace_s)
            return
        answer = await self._dropped(member, reason)
        if camera_id not in self._members:
            return  # the process ended meanwhile, and with it the camera
        slot.mute = answer is Answer.AWAY
        if answer is Answer.DONE or (answer is Answer.AWAY and not member.delivered):
            self._ended(member, EndKind.DRAINED)
            return
        _log.warning("worker.shared_killed", camera_id=camera_id, slot=slot.name)
        now = self._clock.monotonic()
        self._suspicions = after_death(self._suspicions, [camera_id], now=now)
        slot.ending = True
        slot.process.kill()
        await slot.process.ended.wait()

    def forget(self, camera_id: str) -> None:
        """Drop what is remembered of a camera that nobody wants any more."""
        self._suspicions.pop(camera_id, None)

    async def close(self, *, grace_s: float) -> None:
        """End all of them at the same time."""
        slots = list(self._slots.values())
        await asyncio.gather(
            *(self._end(slot, reason="manager stopped", grace_s=grace_s) for slot in slots)
        )
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def tend(self) -> None:
        """Compare what the processes hold with what they should, until cancelled."""
        while True:
            await self._clock.sleep(_ASK_EVERY_S)
            await asyncio.gather(*(self._compare(slot) for slot in list(self._slots.values())))

    def trim_logs(self, *, max_bytes: int) -> None:
        """Keep the logs of the processes within their bound."""
        for name in self._slots:
            with contextlib.suppress(OSError):  # tried again soon
                trim_log(self._workers_dir / name, max_bytes=max_bytes)

    def _start(self, room: int) -> Slot:
        names = (f"packed-{number:04}" for number in itertools.count(1))
        name = next(name for name in names if name not in self._slots)
        folder = self._workers_dir / name
        folder.mkdir(mode=0o700, exist_ok=True)
        socket = self._socket(name)
        socket.unlink(missing_ok=True)
        child = self._spawner.spawn(
            folder,
            socket=socket,
            extra={
                SLOT_VARIABLE: name,
                "DFIP_CAMERAS_PER_WORKER": str(self._capacity),
                "DFIP_CAMERAS_DIR": str(self._workers_dir),
            },
        )
        process = LivingProcess(child.pid, child)
        return self._watched(name, process, create_time_of(child.pid), room)

    def _adopted(self, name: str, pid: int, create_time: float) -> Slot | None:
        if not _NAME.fullmatch(name):
            return None
        process = LivingProcess(pid)
        try:
            slot = self._watched(name, process, create_time, self._capacity)
        except (ProcessLookupError, PermissionError):
            return None
        folder = self._workers_dir / name
        if not is_worker(pid, name=name, folder=folder, create_time=create_time):
            process.release()
            del self._slots[name]
            return None
        _log.info("worker.shared_adopted", slot=name, pid=pid)
        return slot

    def _watched(self, name: str, process: LivingProcess, create_time: float, room: int) -> Slot:
        slot = Slot(
            name=name,
            process=process,
            create_time=create_time,
            target=f"unix:{self._socket(name)}",
            room=room,
        )
        process.watch(lambda: self._note_end(slot))
        self._slots[name] = slot
        return slot

    def _note_end(self, slot: Slot) -> None:
        """The process has ended, and with it all that are in it."""
        del self._slots[slot.name]
        self._socket(slot.name).unlink(missing_ok=True)
        kind = classify_exit(slot.process.exit_status)
        members = list(slot.members.values())
        if not slot.ending and kind in _UNEXPLAINED and members:
            now = self._clock.monotonic()
            self._suspicions = after_death(self._suspicions, slot.members, now=now)
            _log.warning(
                "worker.shared_ended", slot=slot.name, kind=kind.value, cameras=len(members)
            )
        slot.ending = True
        for member in members:
            self._leave(member)
            self._on_end(member.camera_id, kind)

    async def _deliver(self, member: _Member, token: Secret) -> None:
        """Hand a camera over, as soon as its process listens."""
        while True:
            answer = await self._calls.take(
                member.slot.target, camera_id=member.camera_id, token=token
            )
            match answer:
                case Answer.DONE:
                    member.delivered, member.slot.mute = True, False
                    return
                case Answer.TOKEN_REFUSED:
                    self._ended(member, EndKind.TOKEN_REFUSED)
                    return
                case Answer.REFUSED:
                    self._ended(member, EndKind.CRASHED)
                    return
                case Answer.AWAY:
                    await self._clock.sleep(_HAND_OVER_AGAIN_S)

    async def _dropped(self, member: _Member, reason: str) -> Answer:
        slot = member.slot
        asking = asyncio.create_task(
            self._calls.drop(
                slot.target, camera_id=member.camera_id, reason=reason, deadline_s=_DROP_S
            )
        )
        ended = asyncio.create_task(slot.process.ended.wait())
        try:
            await asyncio.wait({asking, ended}, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else Answer.AWAY
        finally:
            asking.cancel()
            ended.cancel()

    async def _end(self, slot: Slot, *, reason: str, grace_s: float) -> None:
        slot.ending = True
        await end_gently(
            slot.process,
            ask=lambda: self._drained(slot, reason),
            grace_s=grace_s,
            clock=self._clock,
        )

    async def _drained(self, slot: Slot, reason: str) -> bool:
        listens = self._socket(slot.name).exists()
        return listens and await self._calls.drain(slot.target, reason=reason)

    async def _compare(self, slot: Slot) -> None:
        expected = [member for member in slot.members.values() if member.delivered]
        listed = await self._calls.cameras(slot.target)
        if listed is None or slot.ending:
            return
        for member in expected:
            if self._members.get(member.camera_id) is not member:
                continue  # gone meanwhile, or here anew
            ending = listed.get(member.camera_id, "lost")
            if ending:
                self._ended(member, _ENDINGS.get(ending, EndKind.CRASHED))
        living = {camera_id for camera_id, ending in listed.items() if not ending}
        for camera_id in living - slot.members.keys():
            _log.warning("worker.camera_astray", camera_id=camera_id, slot=slot.name)
            await self._calls.drop(
                slot.target, camera_id=camera_id, reason="astray", deadline_s=_DROP_S
            )

    def _ended(self, member: _Member, kind: EndKind) -> None:
        """A camera has ended in a process that lives on, unless it was the last."""
        self._leave(member)
        self._on_end(member.camera_id, kind)

    def _join(self, camera_id: str, slot: Slot) -> _Member:
        member = _Member(camera_id=camera_id, slot=slot)
        self._members[camera_id] = slot.members[camera_id] = member
        return member

    def _leave(self, member: _Member) -> None:
        slot = member.slot
        del self._members[member.camera_id], slot.members[member.camera_id]
        if member.delivery is not None and member.delivery is not asyncio.current_task():
            member.delivery.cancel()
        if not slot.members and not slot.ending:
            slot.ending = True
            self._in_background(self._end(slot, reason="no cameras", grace_s=_SLOT_GRACE_S))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _socket(self, name: str) -> Path:
        return self._sockets_dir / f"w-{name}.sock"
