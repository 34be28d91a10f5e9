"""Workers as processes of this machine: one a camera, or shared by several cameras.

A camera's own process runs in the camera's folder, with its token in a file that only its owner may
read; how cameras share processes is in ``packed``. Either runs in its own session, with nothing of
the manager's environment that it does not need. Workers do not depend on the manager's life: a lost
manager's workers go on, and the next manager adopts them by the records that lie in the cameras'
folders. They end with the site by their lifeline.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from camera_manager.runtimes.living_process import (
    CAMERA_VARIABLE,
    LivingProcess,
    classify_exit,
    create_time_of,
    end_gently,
    end_strays,
    is_worker,
)
from camera_manager.runtimes.packed import PackedProcesses
from camera_manager.runtimes.port import (
    EndKind,
    ObservedWorker,
    WorkerEnd,
    WorkerSpec,
    pod_name,
)
from camera_manager.runtimes.spawning import Spawner
from camera_manager.runtimes.worker_calls import WorkerCalls
from camera_manager.runtimes.worker_log import trim_log
from camera_manager.runtimes.worker_record import (
    RECORD_NAME,
    WorkerRecord,
    read_record,
    replace_file,
    write_record,
)
from service_runtime.clock import Clock
from service_runtime.errors import NotFound
from service_runtime.identifiers import parse_id
from service_runtime.structured_logging import get_logger

if TYPE_CHECKING:
    import subprocess

_log = get_logger(__name__)

TOKEN_NAME = "token"  # noqa: S105 the name of a file
_LOCK_NAME = "lock"
_TRIM_EVERY_S = 10.0


@dataclass(slots=True, kw_only=True)
class _Held:
    """A worker and its process; None where it is shared, or was gone before anybody looked."""

    worker: ObservedWorker
    process: LivingProcess | None


class ProcessRuntime:
    """The place where workers are processes.

    Args:
        command: What a worker runs, such as ``[sys.executable, "-m", "vision_worker"]``.
        environment: What every worker gets; its camera, socket and token are added.
        workers_dir: One folder a camera is made below it.
        sockets_dir: Where workers listen; short, because a socket's path is.
        lifeline_fd: Read end of the site's lifeline, handed on to each worker.
        calls: Speaks to workers.
        clock: Where time comes from.
        log_max_bytes: Bound of each of a worker's two log files.
        cameras_per_worker: How many cameras share a process; with 1 each has its own.
    """

    namespace = "local"
    image = "process"

    def __init__(
        self,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        workers_dir: Path,
        sockets_dir: Path,
        lifeline_fd: int | None,
        calls: WorkerCalls,
        clock: Clock,
        log_max_bytes: int,
        cameras_per_worker: int = 1,
    ) -> None:
        self._spawner = Spawner(
            command=command,
            environment=environment,
            lifeline_fd=lifeline_fd,
            log_max_bytes=log_max_bytes,
        )
        self._workers_dir = workers_dir
        self._sockets_dir = sockets_dir
        self._calls = calls
        self._clock = clock
        self._log_max_bytes = log_max_bytes
        self._cameras_per_worker = cameras_per_worker
        self._packed: PackedProcesses
        self._held: dict[str, _Held] = {}
        self._lock = -1
        self._on_change: Callable[[str], None] = lambda _camera_id: None

    async def open(self, on_change: Callable[[str], None]) -> None:
        """Adopt the workers of a lost manager, and end what it had no time to note.

        Those that died unseen are among ``workers`` too, ended: nobody has counted their end yet.
        """
        self._on_change = on_change
        self._workers_dir = await asyncio.to_thread(_own_folder, self._workers_dir)
        self._lock = _locked(self._workers_dir)
        self._sockets_dir = await asyncio.to_thread(_own_folder, self._sockets_dir)
        self._packed = PackedProcesses(
            spawner=self._spawner,
            workers_dir=self._workers_dir,
            sockets_dir=self._sockets_dir,
            calls=self._calls,
            clock=self._clock,
            capacity=self._cameras_per_worker,
            on_end=self._note_end_in_slot,
        )
        for camera_id in self.traces():
            if not self._adopt(camera_id):
                self._clean(camera_id)
        adopted = self._packed.pids | {
            held.process.pid
            for held in self._held.values()
            if held.process is not None and held.worker.end is None
        }
        for pid in await asyncio.to_thread(end_strays, self._workers_dir, adopted=adopted):
            _log.warning("worker.stray_killed", pid=pid)

    def workers(self) -> Mapping[str, ObservedWorker]:
        """Return the workers by camera, living or not yet forgotten."""
        return {camera_id: held.worker for camera_id, held in self._held.items()}

    def target(self, camera_id: str) -> str | None:
        """Return the socket of a camera's living worker."""
        held = self._held.get(camera_id)
        if held is None or held.worker.end is not None:
            return None
        if held.process is None:
            return self._packed.target(camera_id)
        return f"unix:{self._socket(camera_id)}"

    def traces(self) -> frozenset[str]:
        """Return the cameras that have a folder."""
        found = {path.name for path in self._workers_dir.iterdir() if path.is_dir()}
        return frozenset(name for name in found if _is_id(name))

    async def start(self, spec: WorkerSpec) -> None:
        """Start a worker process.

        Nothing is awaited, so that no cancellation can part a process from its record.

        Raises:
            OSError: No process can be had, or the folder cannot be written.
            RuntimeError: A worker of this camera lives already.
        """
        held = self._held.get(spec.camera_id)
        if held is not None and held.worker.end is None:
            raise RuntimeError(f"a worker of camera {spec.camera_id} lives already")
        folder = self._folder(spec.camera_id)
        folder.mkdir(mode=0o700, exist_ok=True)
        started_at = self._clock.now()
        if self._cameras_per_worker > 1:
            slot = self._packed.place(spec.camera_id, spec.token)
            self._hold(None, spec.camera_id, spec.epoch, spec.generation, started_at)
            pid, create_time, name = slot.process.pid, slot.create_time, slot.name
        else:
            child = self._start_own(spec, folder)
            process = LivingProcess(child.pid, child)
            self._hold(process, spec.camera_id, spec.epoch, spec.generation, started_at)
            pid, create_time, name = child.pid, create_time_of(child.pid), ""
        record = WorkerRecord(
            pid=pid,
            create_time=create_time,
            epoch=spec.epoch,
            generation=spec.generation,
            started_at=started_at,
            slot=name,
        )
        try:
            write_record(folder, record)
        except OSError:
            # a successor could not adopt it: better none than one that nobody can find
            held = self._held[spec.camera_id]
            held.worker = replace(held.worker, asked_to_end=True)
            if held.process is None:
                self._packed.withdraw(spec.camera_id)
                self._note_end(held, EndKind.DRAINED)
            else:
                held.process.kill()
            raise

    async def stop(self, camera_id: str, *, reason: str, grace_s: float) -> None:
        """End a worker: drained if it can be reached, else SIGTERM; then SIGKILL of its group.

        One that shares a process is dropped by it; a process that does not is killed.
        """
        held = self._held.get(camera_id)
        if held is None or held.worker.end is not None:
            return
        held.worker = replace(held.worker, asked_to_end=True)
        if held.process is None:
            await self._packed.drop(camera_id, reason=reason, grace_s=grace_s)
            return
        await end_gently(
            held.process,
            ask=lambda: self._drained(camera_id, reason),
            grace_s=grace_s,
            clock=self._clock,
        )

    def forget(self, camera_id: str) -> None:
        """Drop an ended worker, its record and its token."""
        held = self._held.get(camera_id)
        if held is not None and held.worker.end is not None:
            del self._held[camera_id]
            self._clean(camera_id)

    async def erase(self, camera_id: str) -> None:
        """Remove the folder of a camera that has no living worker."""
        self.forget(camera_id)
        if camera_id not in self._held:
            self._packed.forget(camera_id)
            await asyncio.to_thread(shutil.rmtree, self._folder(camera_id), ignore_errors=True)

    async def close(self, *, grace_s: float) -> None:
        """End all workers at the same time."""
        for held in self._held.values():
            if held.process is None:
                held.worker = replace(held.worker, asked_to_end=True)
        stops = [
            self.stop(camera_id, reason="manager stopped", grace_s=grace_s)
            for camera_id, held in self._held.items()
            if held.process is not None
        ]
        await asyncio.gather(self._packed.close(grace_s=grace_s), *stops)
        for camera_id in self._held:
            self._clean(camera_id)  # or the next manager would take these ends for failures
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def tend_logs(self) -> None:
        """Keep the logs within their bound until cancelled."""
        while True:
            await self._clock.sleep(_TRIM_EVERY_S)
            for camera_id in list(self._held):
                with contextlib.suppress(OSError):  # tried again soon; no reason to stop
                    trim_log(self._folder(camera_id), max_bytes=self._log_max_bytes)
            self._packed.trim_logs(max_bytes=self._log_max_bytes)

    async def tend_shared(self) -> None:
        """Notice which cameras ended within processes that live on, until cancelled."""
        await self._packed.tend()

    def _start_own(self, spec: WorkerSpec, folder: Path) -> "subprocess.Popen[bytes]":
        """Start a process that begins and ends with its camera."""
        replace_file(folder / TOKEN_NAME, spec.token.reveal())
        socket = self._socket(spec.camera_id)
        socket.unlink(missing_ok=True)
        extra = {
            CAMERA_VARIABLE: spec.camera_id,
            "DFIP_TOKEN_FILE": str(folder / TOKEN_NAME),
            "DFIP_CAMERAS_PER_WORKER": "1",
        }
        return self._spawner.spawn(folder, socket=socket, extra=extra)

    def _adopt(self, camera_id: str) -> bool:
        folder = self._folder(camera_id)
        record = read_record(folder)
        if record is None:
            return False
        if record.slot:
            self._adopt_shared(camera_id, record)
            return True
        process = LivingProcess(record.pid)
        try:
            self._hold(process, camera_id, record.epoch, record.generation, record.started_at)
        except (ProcessLookupError, PermissionError):
            self._hold_ended(camera_id, record)
            return True
        # looked at only now: the pidfd is held, so it is this very process from here on
        if not is_worker(record.pid, name=camera_id, folder=folder, create_time=record.create_time):
            process.release()
            self._hold_ended(camera_id, record)
            return True
        _log.info("worker.adopted", camera_id=camera_id, pid=record.pid, epoch=record.epoch)
        return True

    def _adopt_shared(self, camera_id: str, record: WorkerRecord) -> None:
        if not self._packed.adopt(
            camera_id, name=record.slot, pid=record.pid, create_time=record.create_time
        ):
            self._hold_ended(camera_id, record)
            return
        self._hold(None, camera_id, record.epoch, record.generation, record.started_at)
        _log.info("worker.adopted", camera_id=camera_id, pid=record.pid, epoch=record.epoch)

    def _hold(
        self,
        process: LivingProcess | None,
        camera_id: str,
        epoch: int,
        generation: int,
        started_at: datetime,
    ) -> None:
        worker = self._worker(camera_id, epoch, generation, started_at)
        held = _Held(worker=worker, process=process)
        if process is not None:
            process.watch(lambda: self._note_end(held, classify_exit(process.exit_status)))
        self._held[camera_id] = held

    def _hold_ended(self, camera_id: str, record: WorkerRecord) -> None:
        """Hold a worker that ended while no manager looked; how and when, nobody can tell."""
        worker = self._worker(camera_id, record.epoch, record.generation, record.started_at)
        lived_s = max((self._clock.now() - record.started_at).total_seconds(), 0.0)
        worker = replace(worker, end=WorkerEnd(kind=EndKind.CRASHED, lived_s=lived_s))
        self._held[camera_id] = _Held(worker=worker, process=None)

    def _worker(
        self, camera_id: str, epoch: int, generation: int, started_at: datetime
    ) -> ObservedWorker:
        return ObservedWorker(
            camera_id=camera_id,
            pod_name=pod_name(camera_id),
            epoch=epoch,
            generation=generation,
            started_at=started_at,
            known_since=self._clock.monotonic(),
        )

    def _note_end_in_slot(self, camera_id: str, kind: EndKind) -> None:
        self._note_end(self._held[camera_id], kind)

    def _note_end(self, held: _Held, kind: EndKind) -> None:
        lived_s = (self._clock.now() - held.worker.started_at).total_seconds()
        held.worker = replace(held.worker, end=WorkerEnd(kind=kind, lived_s=max(lived_s, 0.0)))
        self._on_change(held.worker.camera_id)

    async def _drained(self, camera_id: str, reason: str) -> bool:
        socket = self._socket(camera_id)
        return socket.exists() and await self._calls.drain(f"unix:{socket}", reason=reason)

    def _clean(self, camera_id: str) -> None:
        folder = self._folder(camera_id)
        for path in (folder / RECORD_NAME, folder / TOKEN_NAME, self._socket(camera_id)):
            path.unlink(missing_ok=True)

    def _folder(self, camera_id: str) -> Path:
        return self._workers_dir / parse_id(camera_id, noun="camera")

    def _socket(self, camera_id: str) -> Path:
        return self._sockets_dir / socket_name(camera_id)


def socket_name(camera_id: str) -> str:
    """Return the name of the socket that a camera's worker listens on."""
    return f"w-{camera_id.replace('-', '')[:12]}.sock"


def _own_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.resolve()


def _locked(folder: Path) -> int:
    """Take the folder for this manager; the kernel gives it back however the process ends.

    Raises:
        OSError: Another manager has it: it would kill this one's workers as strays.
    """
    lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OSError(errno.EBUSY, "another camera manager uses it", str(folder)) from None
    return lock


def _is_id(name: str) -> bool:
    try:
        return parse_id(name, noun="camera") == name
    except NotFound:
        return False
