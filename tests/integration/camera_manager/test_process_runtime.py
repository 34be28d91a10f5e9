"""Workers as real processes: started, watched, ended and adopted, with nothing left behind."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from camera_manager.runtimes.living_process import create_time_of
from camera_manager.runtimes.port import EndKind
from camera_manager.runtimes.process import ProcessRuntime, socket_name
from camera_manager.runtimes.worker_record import WorkerRecord, read_record, write_record
from service_runtime.clock import SystemClock
from service_runtime.identifiers import new_id
from tests.integration.camera_manager.processes import (
    CANARY,
    STAND_IN,
    Calls,
    all_ended,
    living,
    make_runtime,
    opened,
    ready_pid,
    spec,
    until,
    zombies,
)
from tests.support.virtual_clock import VirtualClock

CAMERA = new_id()


def look_at(path: str) -> tuple[str, int]:
    """Return what a file holds and who may do what with it."""
    return Path(path).read_text(), Path(path).stat().st_mode & 0o777


def end_of(runtime: ProcessRuntime, camera_id: str = CAMERA) -> EndKind | None:
    end = runtime.workers()[camera_id].end
    return None if end is None else end.kind


async def test_a_worker_runs_in_its_own_session_and_folder_without_the_managers_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-the-manager")
    read_end, write_end = os.pipe()
    runtime = make_runtime(tmp_path, SystemClock(), lifeline_fd=read_end)
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        process = psutil.Process(pid)
        folder = tmp_path / "workers" / CAMERA
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert Path(process.cwd()) == folder
        environment = process.environ()
        assert environment["DFIP_CAMERA_ID"] == CAMERA
        assert environment["DFIP_LISTEN"] == f"unix:{tmp_path}/s/{socket_name(CAMERA)}"
        assert environment["DFIP_LIFELINE_FD"] == str(read_end)
        assert look_at(environment["DFIP_TOKEN_FILE"]) == (CANARY, 0o600)
        assert folder.stat().st_mode & 0o777 == 0o700
        shown = " ".join(process.cmdline()) + repr(environment)
        assert "canary" not in shown
        os.close(write_end)  # the site is gone
        await until(lambda: end_of(runtime) is EndKind.DRAINED)
    os.close(read_end)
    assert not zombies()


def test_the_name_of_a_socket_is_short_and_the_cameras_own() -> None:
    assert socket_name("00000000-1111-4222-8333-444444444444") == "w-000000001111.sock"


@pytest.mark.parametrize(
    ("trick", "kind"),
    [
        ("exit:0", EndKind.DRAINED),
        ("exit:1", EndKind.CRASHED),
        ("exit:2", EndKind.BAD_SETTINGS),
        ("exit:3", EndKind.TOKEN_REFUSED),
        ("exit:137", EndKind.KILLED),
        ("exit:139", EndKind.CRASHED),
    ],
)
async def test_the_end_of_a_worker_is_noticed_with_its_kind(
    tmp_path: Path, trick: str, kind: EndKind
) -> None:
    runtime = make_runtime(tmp_path, SystemClock(), trick=trick)
    async with opened(runtime) as ended:
        await runtime.start(spec(CAMERA))
        await until(lambda: bool(ended))
        assert end_of(runtime) is kind
        runtime.forget(CAMERA)
        assert not runtime.workers()
        left = {path.name for path in (tmp_path / "workers" / CAMERA).iterdir()}
        assert left == {"ready", "worker.log"}
    assert not zombies()


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGKILL, EndKind.KILLED), (signal.SIGSEGV, EndKind.CRASHED)],
)
async def test_a_worker_that_a_signal_ends_leaves_neither_zombie_nor_children(
    tmp_path: Path, number: signal.Signals, kind: EndKind
) -> None:
    runtime = make_runtime(tmp_path, SystemClock(), trick="breed")
    async with opened(runtime) as ended:
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        child = int((tmp_path / "workers" / CAMERA / "child").read_text())
        os.kill(pid, number)
        await until(lambda: ended == [CAMERA])
        assert end_of(runtime) is kind
        await until(lambda: not living(child))
    assert not zombies()


async def test_a_worker_that_hears_sigterm_ends_without_being_killed(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path, VirtualClock())  # its grace never passes
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        await runtime.stop(CAMERA, reason="test", grace_s=5)
        assert not living(pid)
        assert runtime.workers()[CAMERA].asked_to_end
    assert not zombies()


async def test_a_stubborn_worker_is_killed_after_its_grace_and_not_before(tmp_path: Path) -> None:
    clock = VirtualClock()
    runtime = make_runtime(tmp_path, clock, trick="stubborn")
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        stopping = asyncio.create_task(runtime.stop(CAMERA, reason="test", grace_s=5))
        await until(lambda: clock.sleepers == 1)
        await clock.advance(4.9)
        assert living(pid)
        await clock.advance(0.2)
        await stopping
        assert not living(pid)
    assert not zombies()


async def test_a_stopped_process_is_killed_too(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path, SystemClock())
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        os.kill(pid, signal.SIGSTOP)
        await runtime.stop(CAMERA, reason="silent", grace_s=0)
        assert not living(pid)
    assert not zombies()


async def test_a_worker_that_listens_is_drained_by_its_socket_and_spared_the_signal(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    calls = Calls(taken=True)
    runtime = make_runtime(tmp_path, clock, calls=calls)
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        pid = await ready_pid(tmp_path, CAMERA)
        socket = tmp_path / "s" / socket_name(CAMERA)
        socket.touch()
        stopping = asyncio.create_task(runtime.stop(CAMERA, reason="test", grace_s=5))
        await until(lambda: calls.targets == [f"unix:{socket}"])
        assert living(pid)  # it took the wish: nobody hurries it
        await clock.advance(6)
        await stopping
        assert not living(pid)


async def test_all_workers_are_ended_together(tmp_path: Path) -> None:
    clock = VirtualClock()
    runtime = make_runtime(tmp_path, clock, trick="stubborn")
    ids = [new_id() for _ in range(4)]
    async with opened(runtime):
        for camera_id in ids:
            await runtime.start(spec(camera_id))
        pids = [await ready_pid(tmp_path, camera_id) for camera_id in ids]
        closing = asyncio.create_task(runtime.close(grace_s=5))
        await until(lambda: clock.sleepers == len(ids))
        await clock.advance(5)
        await closing
        assert not any(living(pid) for pid in pids)
    assert not zombies()


async def test_two_workers_of_one_camera_are_refused(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path, SystemClock())
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        with pytest.raises(RuntimeError, match="lives already"):
            await runtime.start(spec(CAMERA, epoch=2))


async def test_a_log_never_outgrows_its_bound(tmp_path: Path) -> None:
    clock = VirtualClock()
    runtime = make_runtime(tmp_path, clock, trick="babble", log_max_bytes=4096)
    folder = tmp_path / "workers" / CAMERA
    async with opened(runtime):
        tending = asyncio.create_task(runtime.tend_logs())
        await runtime.start(spec(CAMERA))
        process = psutil.Process(await ready_pid(tmp_path, CAMERA))
        for _ in range(3):
            await until(lambda: (folder / "worker.log").stat().st_size > 8192)
            os.kill(process.pid, signal.SIGSTOP)
            await until(lambda: process.status() == psutil.STATUS_STOPPED)
            await clock.advance(10)
            assert (folder / "worker.log").stat().st_size == 0
            assert (folder / "worker.log.1").stat().st_size == 4096
            os.kill(process.pid, signal.SIGCONT)
        # it goes on writing at the start of the emptied file, not behind a hole
        await until(lambda: (folder / "worker.log").stat().st_size > 0)
        with (folder / "worker.log").open("rb") as log:  # to its end would take for ever
            assert log.read(1) == b"x"
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)


async def test_the_workers_of_a_killed_manager_are_adopted_and_watched_to_their_end(
    tmp_path: Path,
) -> None:
    with all_ended() as pids:
        manager, pid = await start_and_kill_manager(tmp_path)
        pids.append(pid)
        assert living(pid)
        runtime = make_runtime(tmp_path, SystemClock())
        async with opened(runtime) as ended:
            worker = runtime.workers()[CAMERA]
            assert (worker.epoch, worker.generation, worker.end) == (3, 2, None)
            assert not ended
            os.kill(pid, signal.SIGKILL)
            await until(lambda: ended == [CAMERA])
            assert end_of(runtime) is EndKind.CRASHED  # not our child: nobody tells us more
            assert not living(pid)
        assert manager.returncode == -signal.SIGKILL


async def test_a_worker_that_died_while_no_manager_looked_is_found_ended(tmp_path: Path) -> None:
    with all_ended() as pids:
        _, pid = await start_and_kill_manager(tmp_path)
        pids.append(pid)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not living(pid))
        runtime = make_runtime(tmp_path, SystemClock())
        async with opened(runtime):
            worker = runtime.workers()[CAMERA]
            assert (worker.epoch, worker.asked_to_end) == (3, False)
            assert end_of(runtime) is EndKind.CRASHED
            runtime.forget(CAMERA)
            assert read_record(tmp_path / "workers" / CAMERA) is None
            await runtime.start(spec(CAMERA))
            pids.append(await ready_pid(tmp_path, CAMERA))


async def test_workers_that_ended_with_their_manager_are_no_failures_for_the_next(
    tmp_path: Path,
) -> None:
    runtime = make_runtime(tmp_path, SystemClock())
    async with opened(runtime):
        await runtime.start(spec(CAMERA))
        await ready_pid(tmp_path, CAMERA)
        await runtime.close(grace_s=5)
        assert end_of(runtime) is not None
    successor = make_runtime(tmp_path, SystemClock())
    async with opened(successor):
        assert not successor.workers()


async def test_an_adopted_worker_can_be_ended(tmp_path: Path) -> None:
    with all_ended() as pids:
        _, pid = await start_and_kill_manager(tmp_path)
        pids.append(pid)
        runtime = make_runtime(tmp_path, SystemClock())
        async with opened(runtime) as ended:
            await runtime.stop(CAMERA, reason="test", grace_s=5)
            assert ended == [CAMERA]
            assert not living(pid)


async def test_a_worker_without_a_record_is_a_stray_and_is_ended(tmp_path: Path) -> None:
    with all_ended() as pids:
        _, pid = await start_and_kill_manager(tmp_path)
        pids.append(pid)
        (tmp_path / "workers" / CAMERA / "worker.json").unlink()
        runtime = make_runtime(tmp_path, SystemClock())
        async with opened(runtime):
            assert not runtime.workers()
            assert not living(pid)


async def test_a_record_of_another_process_with_the_same_id_is_not_believed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "workers" / CAMERA
    folder.mkdir(parents=True)
    bystander = await asyncio.create_subprocess_exec(
        sys.executable, str(STAND_IN), cwd=tmp_path, env={"PATH": os.environ["PATH"]}
    )
    with all_ended() as pids:
        pids.append(bystander.pid)
        await until((tmp_path / "ready").exists)
        record = WorkerRecord(
            pid=bystander.pid,
            create_time=create_time_of(bystander.pid),
            epoch=1,
            generation=1,
            started_at=SystemClock().now(),
        )
        write_record(folder, record)
        runtime = make_runtime(tmp_path, SystemClock())
        async with opened(runtime):
            assert end_of(runtime) is EndKind.CRASHED
            await runtime.stop(CAMERA, reason="test", grace_s=5)
            assert living(bystander.pid)
            runtime.forget(CAMERA)
            assert read_record(folder) is None
        assert living(bystander.pid)
    await bystander.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x"}', '{"pid": 999999999}'])
async def test_a_damaged_record_hinders_nothing(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "workers" / CAMERA
    folder.mkdir(parents=True)
    (folder / "worker.json").write_text(text)
    (folder / "token").write_text("old")
    runtime = make_runtime(tmp_path, SystemClock())
    async with opened(runtime):
        assert not runtime.workers()
        assert not list(folder.iterdir())
        await runtime.start(spec(CAMERA))
        await ready_pid(tmp_path, CAMERA)


async def test_erasing_leaves_nothing_of_a_camera(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path, SystemClock(), trick="exit:0")
    async with opened(runtime) as ended:
        await runtime.start(spec(CAMERA))
        await until(lambda: bool(ended))
        assert runtime.traces() == {CAMERA}
        (tmp_path / "workers" / CAMERA / "spool.db").write_bytes(b"faces that nobody reported")
        await runtime.erase(CAMERA)
        assert not runtime.traces()
        assert [path.name for path in (tmp_path / "workers").iterdir()] == ["lock"]


async def start_and_kill_manager(tmp_path: Path) -> tuple[asyncio.subprocess.Process, int]:
    """Have another process start a worker, kill that process, return it and the worker's id."""
    program = (
        "import asyncio, sys, json; from pathlib import Path\n"
        "from tests.integration.camera_manager import processes as p\n"
        "from camera_manager.runtimes.port import WorkerSpec\n"
        "from service_runtime.clock import SystemClock; from service_runtime.secret import Secret\n"
        "async def main(folder, camera_id):\n"
        "    runtime = p.make_runtime(folder, SystemClock())\n"
        "    await runtime.open(lambda _: None)\n"
        "    await runtime.start(WorkerSpec(camera_id=camera_id, epoch=3, generation=2,\n"
        "        token=Secret('t')))\n"
        "    pid = await p.ready_pid(folder, camera_id)\n"
        "    print(json.dumps(pid), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))\n"
    )
    manager = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path),
        CAMERA,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert manager.stdout is not None
    pid = json.loads(await manager.stdout.readline())
    manager.kill()
    await manager.wait()
    return manager, int(pid)
