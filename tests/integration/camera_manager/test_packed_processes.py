"""Workers that share processes: real processes, whose answers stand in for a worker's."""

import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from camera_manager.runtimes.port import EndKind
from camera_manager.runtimes.process import ProcessRuntime
from camera_manager.runtimes.worker_calls import Answer
from camera_manager.runtimes.worker_record import read_record, write_record
from service_runtime.clock import Clock, SystemClock
from service_runtime.identifiers import new_id
from tests.integration.camera_manager.processes import (
    CANARY,
    Calls,
    all_ended,
    living,
    make_runtime,
    opened,
    spec,
    until,
    zombies,
)
from tests.support.virtual_clock import VirtualClock

ONE, TWO, THREE = (new_id() for _ in range(3))


def shared(
    folder: Path, calls: Calls, *, clock: Clock | None = None, most: int = 2
) -> ProcessRuntime:
    return make_runtime(folder, clock or SystemClock(), calls=calls, cameras_per_worker=most)


def pid_of(folder: Path, camera_id: str) -> int:
    record = read_record(folder / "workers" / camera_id)
    assert record is not None
    return record.pid


def ends(runtime: ProcessRuntime) -> dict[str, EndKind | None]:
    return {
        name: None if worker.end is None else worker.end.kind
        for name, worker in runtime.workers().items()
    }


async def start(runtime: ProcessRuntime, *camera_ids: str, epoch: int = 1) -> None:
    for camera_id in camera_ids:
        await runtime.start(spec(camera_id, epoch))


async def delivered(calls: Calls, camera_ids: Iterable[str]) -> None:
    wanted = set(camera_ids)
    await until(lambda: wanted <= {name for held in calls.held.values() for name in held})


async def test_cameras_share_a_process_that_knows_none_of_them_until_it_is_told(
    tmp_path: Path,
) -> None:
    calls = Calls()
    runtime = shared(tmp_path, calls)
    async with opened(runtime):
        await start(runtime, ONE, TWO, THREE)
        await delivered(calls, [ONE, TWO, THREE])
        first, second, third = (pid_of(tmp_path, name) for name in (ONE, TWO, THREE))
        assert first == second != third
        assert set(calls.held) == {
            f"unix:{tmp_path}/s/w-packed-0001.sock", f"unix:{tmp_path}/s/w-packed-0002.sock",
        }  # fmt: skip
        assert runtime.target(ONE) == runtime.target(TWO) == f"unix:{tmp_path}/s/w-packed-0001.sock"
        assert runtime.target(new_id()) is None
        assert calls.tokens == [CANARY] * 3
        environment = psutil.Process(first).environ()
        assert "DFIP_CAMERA_ID" not in environment
        assert environment["DFIP_CAMERAS_PER_WORKER"] == "2"
        assert environment["DFIP_CAMERAS_DIR"] == str(tmp_path / "workers")
        assert CANARY not in repr(environment)
        assert not (tmp_path / "workers" / ONE / "token").exists()
        assert os.getsid(first) == os.getpgid(first) == first
        assert runtime.workers()[TWO].pod_name == f"camera-worker-{TWO}"
        assert runtime.traces() == {ONE, TWO, THREE}
    assert not zombies()


async def test_the_death_of_a_process_is_the_end_of_all_its_cameras_and_parts_them(
    tmp_path: Path,
) -> None:
    runtime = shared(tmp_path, Calls())
    async with opened(runtime) as ended:
        await start(runtime, ONE, TWO, THREE)
        os.kill(pid_of(tmp_path, ONE), signal.SIGKILL)
        await until(lambda: len(ended) == 2)
        assert ends(runtime) == {ONE: EndKind.KILLED, TWO: EndKind.KILLED, THREE: None}
        for name in (ONE, TWO):
            runtime.forget(name)
        await start(runtime, ONE, TWO, epoch=2)
        assert len({pid_of(tmp_path, name) for name in (ONE, TWO, THREE)}) == 3
    assert not zombies()


async def test_a_dropped_camera_leaves_the_others_and_the_last_one_ends_the_process(
    tmp_path: Path,
) -> None:
    calls = Calls()
    runtime = shared(tmp_path, calls)
    async with opened(runtime):
        await start(runtime, ONE, TWO)
        await delivered(calls, [ONE, TWO])
        pid = pid_of(tmp_path, ONE)
        await runtime.stop(ONE, reason="test", grace_s=5)
        assert (calls.dropped, ends(runtime)) == ([ONE], {ONE: EndKind.DRAINED, TWO: None})
        assert runtime.workers()[ONE].asked_to_end
        assert living(pid)
        await runtime.stop(TWO, reason="test", grace_s=5)
        assert not living(pid)
        await runtime.erase(ONE)
        assert runtime.traces() == {TWO}
    assert not zombies()


async def test_room_that_became_free_is_used_again(tmp_path: Path) -> None:
    calls = Calls()
    runtime = shared(tmp_path, calls)
    async with opened(runtime):
        await start(runtime, ONE, TWO)
        await delivered(calls, [ONE, TWO])
        await runtime.stop(ONE, reason="test", grace_s=5)
        await start(runtime, THREE)
        assert pid_of(tmp_path, THREE) == pid_of(tmp_path, TWO)


async def test_a_process_that_does_not_let_go_is_killed_and_the_one_it_held_is_to_blame(
    tmp_path: Path,
) -> None:
    calls = Calls()
    runtime = shared(tmp_path, calls, most=3)
    async with opened(runtime) as ended:
        await start(runtime, ONE, TWO, THREE)
        await delivered(calls, [ONE, TWO, THREE])
        pid = pid_of(tmp_path, ONE)
        calls.answer = Answer.AWAY
        await runtime.stop(ONE, reason="silent", grace_s=0)
        assert not living(pid)
        assert set(ended) == {ONE, TWO, THREE}
        assert not runtime.workers()[TWO].asked_to_end
        calls.answer = Answer.DONE
        for name in (ONE, TWO, THREE):
            runtime.forget(name)
        await start(runtime, ONE, TWO, THREE, epoch=2)
        alone, two, three = (pid_of(tmp_path, name) for name in (ONE, TWO, THREE))
        assert alone != two == three


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("token_refused", EndKind.TOKEN_REFUSED),
        ("superseded", EndKind.DRAINED),
        ("crashed", EndKind.CRASHED),
        (None, EndKind.CRASHED),
    ],
)
async def test_a_camera_that_ends_in_a_living_process_is_noticed(
    tmp_path: Path, ending: str | None, kind: EndKind
) -> None:
    calls, clock = Calls(), VirtualClock()
    runtime = shared(tmp_path, calls, clock=clock)
    async with opened(runtime) as ended:
        tending = asyncio.create_task(runtime.tend_shared())
        await start(runtime, ONE, TWO)
        await delivered(calls, [ONE, TWO])
        (held,) = calls.held.values()
        await clock.advance(6)
        assert not ended
        if ending is None:
            del held[ONE]
        else:
            held[ONE] = ending
        await clock.advance(6)
        assert ends(runtime) == {ONE: kind, TWO: None}
        runtime.forget(ONE)
        await start(runtime, ONE, epoch=2)
        assert pid_of(tmp_path, ONE) == pid_of(tmp_path, TWO)
        tending.cancel()


async def test_a_camera_that_nobody_placed_is_taken_from_the_process(tmp_path: Path) -> None:
    calls, clock = Calls(), VirtualClock()
    runtime = shared(tmp_path, calls, clock=clock)
    async with opened(runtime):
        tending = asyncio.create_task(runtime.tend_shared())
        await start(runtime, ONE)
        await delivered(calls, [ONE])
        (held,) = calls.held.values()
        held[THREE] = ""
        await clock.advance(6)
        assert (calls.dropped, list(held)) == ([THREE], [ONE])
        tending.cancel()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Answer.TOKEN_REFUSED, EndKind.TOKEN_REFUSED), (Answer.REFUSED, EndKind.CRASHED)],
)
async def test_a_camera_that_is_not_taken_has_ended_and_the_empty_process_ends_too(
    tmp_path: Path, answer: Answer, kind: EndKind
) -> None:
    calls = Calls()
    calls.answer = answer
    runtime = shared(tmp_path, calls)
    async with opened(runtime) as ended:
        await start(runtime, ONE)
        pid = pid_of(tmp_path, ONE)
        await until(lambda: bool(ended))
        assert ends(runtime) == {ONE: kind}
        await until(lambda: not living(pid))


async def test_a_camera_is_handed_over_as_soon_as_the_process_listens(tmp_path: Path) -> None:
    calls, clock = Calls(), VirtualClock()
    calls.answer = Answer.AWAY
    runtime = shared(tmp_path, calls, clock=clock)
    async with opened(runtime):
        await start(runtime, ONE, TWO)
        await clock.advance(3)
        assert not calls.held
        await runtime.stop(TWO, reason="test", grace_s=5)  # which it never had
        assert ends(runtime) == {ONE: None, TWO: EndKind.DRAINED}
        await start(runtime, THREE)  # into another: this one may never answer
        assert pid_of(tmp_path, THREE) != pid_of(tmp_path, ONE)
        calls.answer = Answer.DONE
        await clock.advance(1)
        assert sorted(list(held) for held in calls.held.values()) == sorted([[ONE], [THREE]])


async def test_the_shared_processes_of_a_lost_manager_are_adopted(tmp_path: Path) -> None:
    calls = Calls()
    lost = shared(tmp_path, calls, most=3)
    await lost.open(lambda _: None)
    await start(lost, ONE, TWO, epoch=3)
    await delivered(calls, [ONE, TWO])
    pid = pid_of(tmp_path, ONE)
    with all_ended() as pids:
        pids.append(pid)
        os.close(lost._lock)  # as its death would
        runtime = shared(tmp_path, calls, most=3)
        async with opened(runtime) as ended:
            assert living(pid)
            assert ends(runtime) == {ONE: None, TWO: None}
            assert runtime.workers()[TWO].epoch == 3
            await start(runtime, THREE)
            assert pid_of(tmp_path, THREE) == pid
            await runtime.stop(ONE, reason="test", grace_s=5)
            assert calls.dropped == [ONE]
            os.kill(pid, signal.SIGKILL)
            await until(lambda: {TWO, THREE} <= set(ended))


async def test_what_no_record_names_is_ended_and_no_record_names_what_it_likes(
    tmp_path: Path,
) -> None:
    calls = Calls()
    lost = shared(tmp_path, calls)
    await lost.open(lambda _: None)
    await start(lost, ONE, TWO, THREE)
    pids = [pid_of(tmp_path, name) for name in (ONE, THREE)]
    with all_ended() as left:
        left.extend(pids)
        os.close(lost._lock)
        (tmp_path / "workers" / THREE / "worker.json").unlink()
        for name, slot in ((ONE, "../workers/packed-0001"), (TWO, "packed-0002")):
            folder = tmp_path / "workers" / name
            record = read_record(folder)
            assert record is not None
            write_record(folder, replace(record, slot=slot))
        runtime = shared(tmp_path, calls)
        async with opened(runtime):
            assert ends(runtime) == {ONE: EndKind.CRASHED, TWO: EndKind.CRASHED}
            assert not any(living(pid) for pid in pids)


async def test_all_of_them_are_ended_together(tmp_path: Path) -> None:
    clock = VirtualClock()
    runtime = make_runtime(
        tmp_path, clock, trick="stubborn", calls=Calls(taken=True), cameras_per_worker=2
    )
    async with opened(runtime):
        await start(runtime, ONE, TWO, THREE)
        pids = {pid_of(tmp_path, name) for name in (ONE, THREE)}
        for number in (1, 2):
            await until((tmp_path / "workers" / f"packed-000{number}" / "ready").exists)
        closing = asyncio.create_task(runtime.close(grace_s=5))
        await until(lambda: clock.sleepers >= 2)
        await clock.advance(6)
        await closing
        assert not any(living(pid) for pid in pids)
    successor = shared(tmp_path, Calls())
    async with opened(successor):
        assert not successor.workers()
