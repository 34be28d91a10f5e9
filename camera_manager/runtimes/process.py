"""Workers as processes of this machine, one a camera.

Each runs in its own folder and its own session, with nothing of the manager's environment that it
does not need; its token is in a file that only its owner may read. Workers do not depend on the
manager's life: a lost manager's workers go on, and the next manager adopts them by the records that
lie in their folders. They end with the site by their lifeline.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from camera_manager.runtimes.living_process import (
    CAMERA_VARIABLE,
    LivingProcess,
    classify_exit,
    create_time_of,
    end_strays,
    is_worker,
)
from camera_manager.runtimes.port import (
    EndKind,
    ObservedWorker,
    WorkerEnd,
    WorkerSpec,
    pod_name,
)
from camera_manager.runtimes.worker_log import open_log, trim_log
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

_log = get_logger(__name__)

TOKEN_NAME = "token"  # noqa: S105 the name of a file
_LOCK_NAME = "lock"
_TRIM_EVERY_S = 10.0


class Drain(Protocol):
    """Asks a worker to report what it holds and to end."""

    async def __call__(self, target: str, *, reason: str) -> bool:
        """Return whether the worker at a gRPC target took the wish."""
        ...


@dataclass(slots=True, kw_only=True)
class _Held:
    """A worker and its process."""

    worker: ObservedWorker
    process: LivingProcess


class ProcessRuntime:
    """The place where workers are processes.

    Args:
        command: What a worker runs, such as ``[sys.executable, "-m", "vision_worker"]``.
        environment: What every worker gets; its camera, socket and token are added.
        workers_dir: One folder a camera is made below it.
        sockets_dir: Where workers listen; short, because a socket's path is.
        lifeline_fd: Read end of the site's lifeline, handed on to each worker.
        drain: Asks a worker to end.
        clock: Where time comes from.
        log_max_bytes: Bound of each of a worker's two log files.
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
        drain: Drain,
        clock: Clock,
        log_max_bytes: int,
    ) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._workers_dir = workers_dir
        self._sockets_dir = sockets_dir
        self._lifeline_fd = lifeline_fd
        self._drain = drain
        self._clock = clock
        self._log_max_bytes = log_max_bytes
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
        for camera_id in self.traces():
            if not self._adopt(camera_id):
                self._clean(camera_id)
        adopted = frozenset(
            held.process.pid for held in self._held.values() if held.worker.end is None
        )
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
        replace_file(folder / TOKEN_NAME, spec.token.reveal())
        self._socket(spec.camera_id).unlink(missing_ok=True)
        child = self._spawn(spec.camera_id, folder)
        started_at = self._clock.now()
        worker = self._hold(
            LivingProcess(child.pid, child), spec.camera_id, spec.epoch, spec.generation, started_at
        )
        record = WorkerRecord(
            pid=child.pid,
            create_time=create_time_of(child.pid),
            epoch=worker.epoch,
            generation=worker.generation,
            started_at=started_at,
        )
        try:
            write_record(folder, record)
        except OSError:
            # a successor could not adopt it: better none than one that nobody can find
            held = self._held[spec.camera_id]
            held.worker = replace(worker, asked_to_end=True)
            held.process.kill()
            raise

    async def stop(self, camera_id: str, *, reason: str, grace_s: float) -> None:
        """End a worker: drained if it can be reached, else SIGTERM; then SIGKILL of its group."""
        held = self._held.get(camera_id)
        if held is None or held.worker.end is not None:
            return
        held.worker = replace(held.worker, asked_to_end=True)
        process = held.process
        if grace_s > 0:
            asking = asyncio.create_task(self._ask_to_end(camera_id, process, reason))
            patience = asyncio.create_task(self._clock.sleep(grace_s))
            ended = asyncio.create_task(process.ended.wait())
            try:
                await asyncio.wait({patience, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (asking, patience, ended):
                    task.cancel()
        if not process.ended.is_set():
            if grace_s > 0:
                _log.warning("worker.killed", camera_id=camera_id, grace_s=grace_s)
            process.kill()
            await process.ended.wait()

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
            await asyncio.to_thread(shutil.rmtree, self._folder(camera_id), ignore_errors=True)

    async def close(self, *, grace_s: float) -> None:
        """End all workers at the same time."""
        stops = [
            self.stop(camera_id, reason="manager stopped", grace_s=grace_s)
            for camera_id in self._held
        ]
        await asyncio.gather(*stops)
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

    def _spawn(self, camera_id: str, folder: Path) -> "subprocess.Popen[bytes]":
        environment = {
            **self._environment,
            CAMERA_VARIABLE: camera_id,
            "DFIP_LISTEN": f"unix:{self._socket(camera_id)}",
            "DFIP_TOKEN_FILE": str(folder / TOKEN_NAME),
        }
        handed_on: tuple[int, ...] = ()
        if self._lifeline_fd is not None:
            environment["DFIP_LIFELINE_FD"] = str(self._lifeline_fd)
            handed_on = (self._lifeline_fd,)
        with open_log(folder, max_bytes=self._log_max_bytes) as log:
            return subprocess.Popen(  # noqa: S603 the command is this program's own
                self._command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=handed_on,
            )

    def _adopt(self, camera_id: str) -> bool:
        folder = self._folder(camera_id)
        record = read_record(folder)
        if record is None:
            return False
        process = LivingProcess(record.pid)
        try:
            self._hold(process, camera_id, record.epoch, record.generation, record.started_at)
        except (ProcessLookupError, PermissionError):
            self._hold_ended(process, camera_id, record)
            return True
        # looked at only now: the pidfd is held, so it is this very process from here on
        if not is_worker(
            record.pid, camera_id=camera_id, folder=folder, create_time=record.create_time
        ):
            process.release()
            self._hold_ended(process, camera_id, record)
            return True
        _log.info("worker.adopted", camera_id=camera_id, pid=record.pid, epoch=record.epoch)
        return True

    def _hold(
        self,
        process: LivingProcess,
        camera_id: str,
        epoch: int,
        generation: int,
        started_at: datetime,
    ) -> ObservedWorker:
        worker = self._worker(camera_id, epoch, generation, started_at)
        held = _Held(worker=worker, process=process)
        process.watch(lambda: self._note_end(held))
        self._held[camera_id] = held
        return worker

    def _hold_ended(self, process: LivingProcess, camera_id: str, record: WorkerRecord) -> None:
        """Hold a worker that ended while no manager looked; how and when, nobody can tell."""
        worker = self._worker(camera_id, record.epoch, record.generation, record.started_at)
        lived_s = max((self._clock.now() - record.started_at).total_seconds(), 0.0)
        worker = replace(worker, end=WorkerEnd(kind=EndKind.CRASHED, lived_s=lived_s))
        self._held[camera_id] = _Held(worker=worker, process=process)

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

    def _note_end(self, held: _Held) -> None:
        lived_s = (self._clock.now() - held.worker.started_at).total_seconds()
        kind = classify_exit(held.process.exit_status)
        held.worker = replace(held.worker, end=WorkerEnd(kind=kind, lived_s=max(lived_s, 0.0)))
        self._on_change(held.worker.camera_id)

    async def _ask_to_end(self, camera_id: str, process: LivingProcess, reason: str) -> None:
        socket = self._socket(camera_id)
        if socket.exists() and await self._drain(f"unix:{socket}", reason=reason):
            return
        process.terminate()

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
