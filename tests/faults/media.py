"""The row "media": whatever a camera does has its name in time and passes with its cause.

Faults come in another order with each seed, several at once, while a neighbour is watched by the
same process; ``media_world`` says what is promised, ``media_pictures`` has the pictures. What the
cameras of this row do themselves, ``tests/cameras`` has done by GStreamer's.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from face_engine.engine import open_engine
from tests.faults.media_pictures import PICTURES
from tests.faults.media_world import World, filmed, running_world, shuffled
from tests.faults.row import Figures, Row, Violation, names
from tests.support.reels import (
    Reel,
    corrupted,
    frozen,
    joined,
    stamped,
    without_pictures_to_begin_with,
)
from tests.support.tcp_proxy import tcp_proxy
from tests.support.watching import WatchedCamera
from tests.support.wayward_camera import Algorithm, Guard
from tests.support.wrong_peers import chattering_peer, closed_port, redirecting_peer, silent_peer
from vision_worker.decode import camera_clock

NAME = "media"
AT_ONCE = 6
CROWD = 64
_QUICK_CROWD = 8

Fault = Callable[[World], Awaitable[None]]


async def wrong_password(world: World) -> None:
    async with (
        world.wayward(guard=Guard(password="another")) as camera,
        world.watched(camera.url_with_password) as watched,
    ):
        await world.notices(watched, "unauthorized")


async def no_password(world: World) -> None:
    async with world.wayward(guard=Guard()) as camera, world.watched(camera.url) as watched:
        await world.notices(watched, "unauthorized")


async def unknown_path(world: World) -> None:
    async with world.wayward() as camera:
        camera.temper.status = "404 Not Found"
        async with world.watched(camera.url) as watched:
            await world.notices(watched, "not_found")
            camera.temper.status = "200 OK"
            watched.watch.retry_now()  # a wrong path does not mend itself, so somebody did
            await world.recovers(watched)


async def closed_ports(world: World) -> None:
    async with world.watched(f"rtsp://127.0.0.1:{closed_port()}/x") as watched:
        await world.notices(watched, "refused")


async def another_protocol(world: World) -> None:
    async with (
        chattering_peer(hangs_up=world.dice.random() < 0.5) as port,
        world.watched(f"rtsp://127.0.0.1:{port}/x") as watched,
    ):
        await world.notices(watched, "not_a_stream")


async def accepts_and_stays_silent(world: World) -> None:
    scheme = world.dice.choice(["rtsp", "http"])
    async with silent_peer() as port, world.watched(f"{scheme}://127.0.0.1:{port}/x") as watched:
        await world.notices(watched, "timeout")


async def deaf_for_a_while(world: World) -> None:
    async with world.wayward() as camera:
        camera.temper.deaf = True
        async with world.watched(camera.url) as watched:
            await world.notices(watched, "timeout")
            camera.temper.deaf = False
            await world.recovers(watched)


async def switched_off(world: World) -> None:
    async with world.wayward() as camera, world.watched(camera.url, sees=True) as watched:
        watched.mark()
        await camera.switch_off()
        await world.notices(watched, "ended")
        await camera.switch_on()
        await world.recovers(watched)


async def end_of_stream(world: World) -> None:
    async with world.wayward() as camera:
        camera.temper.ends = True
        async with world.watched(camera.url, sees=True) as watched:
            await watched.until(lambda state: state.worker_status == "backoff", what="its end")
            assert watched.failures[0] == "ended"
            camera.temper.ends = False
            await world.recovers(watched)


async def connection_reset(world: World) -> None:
    async with world.wayward() as camera, world.watched(camera.url, sees=True) as watched:
        watched.mark()
        assert camera.break_all() == 1
        await world.notices(watched, "ended")
        await world.recovers(watched)


async def stall(world: World) -> None:
    async with world.wayward() as camera, world.watched(camera.url, sees=True) as watched:
        watched.mark()
        camera.temper.silent = True
        await world.notices(watched, "stalled")
        camera.temper.silent = False
        await world.recovers(watched)


async def black_hole(world: World) -> None:
    async with (
        world.wayward() as camera,
        tcp_proxy(f"127.0.0.1:{camera.port}") as network,
        world.watched(f"rtsp://{network.target}/stream", sees=True) as watched,
    ):
        watched.mark()
        network.black_hole()
        await world.notices(watched, "stalled")
        network.heal()
        await world.recovers(watched)


async def _admitted(world: World, guard: Guard) -> None:
    async with (
        world.wayward(guard=guard) as camera,
        world.watched(camera.url_with_password, sees=True) as watched,
    ):
        await watched.sampled(3)
        assert watched.failures == []
        watched.mark()
        camera.break_all()
        await world.notices(watched, "ended")
        await world.recovers(watched)
        # one challenge a connection, and whoever is in is not asked again
        assert guard.stale_after or camera.refusals == camera.connections


async def digest_md5(world: World) -> None:
    await _admitted(world, Guard(named=world.dice.random() < 0.5, qop=world.dice.random() < 0.5))


async def digest_sha256(world: World) -> None:
    await _admitted(world, Guard(algorithm="SHA-256", qop=world.dice.random() < 0.5))


async def stale_nonce(world: World) -> None:
    algorithm: Algorithm = world.dice.choice(["MD5", "SHA-256"])
    await _admitted(world, Guard(algorithm=algorithm, stale_after=world.dice.randint(1, 3)))


async def password_changed(world: World) -> None:
    guard = Guard()
    async with (
        world.wayward(guard=guard) as camera,
        world.watched(camera.url_with_password, sees=True) as watched,
    ):
        right, guard.password = guard.password, "another"
        watched.mark()
        camera.break_all()
        await watched.until(
            lambda state: state.failure_reason == "unauthorized", what="unauthorized"
        )
        guard.password = right
        watched.watch.retry_now()
        await world.recovers(watched)


async def redirect(world: World) -> None:
    scheme = world.dice.choice(["rtsp", "http"])
    status = world.dice.choice(["301 Moved Permanently", "302 Found", "305 Use Proxy"])
    place = f"{scheme}://127.0.0.1:{world.canary.port}/x"
    async with (
        redirecting_peer(place, status) as port,
        world.watched(f"{scheme}://viewer:secret@127.0.0.1:{port}/x") as watched,
    ):
        await world.notices(watched, "redirected")


async def redirect_after_a_challenge(world: World) -> None:
    async with world.wayward(guard=Guard()) as camera:
        camera.temper.status = "302 Found"
        camera.temper.headers = f"Location: rtsp://127.0.0.1:{world.canary.port}/x\r\n"
        async with world.watched(camera.url_with_password) as watched:
            await world.notices(watched, "redirected")


async def _goes_on(world: World, sent: Reel) -> None:
    """Watch a stream that is no failure, whatever it looks like, for longer than it lasts once."""
    async with (
        world.wayward(reel=sent) as camera,
        world.watched(camera.url, sees=True) as watched,
    ):
        await watched.sampled(14, within_s=1.5 * world.patience_s)
        assert watched.failures == []


async def new_size_in_the_middle(world: World) -> None:
    sizes = [(world.dice.randrange(96, 480, 16), world.dice.randrange(96, 360, 16)) for _ in "12"]
    await _goes_on(world, joined(*[await filmed(size=size) for size in sizes]))


async def new_codec_after_a_break(world: World) -> None:
    async with world.wayward() as camera, world.watched(camera.url, sees=True) as watched:
        camera.reel = await filmed(size=(352, 288), codec="h265")
        watched.mark()
        camera.break_all()
        await world.notices(watched, "ended")
        await world.recovers(watched)
        await watched.sampled(5)


async def clock_that_jumps(world: World) -> None:
    place, leap_s = world.dice.randrange(5, 45), world.dice.choice([-3600, -1, 7, 3600, 40_000])
    await _goes_on(world, stamped(world.reel, lambda at, s: s + leap_s * (at > place) + 3600))


async def clock_that_runs_backwards(world: World) -> None:
    await _goes_on(world, stamped(world.reel, lambda _, stamp_s: 3600 - stamp_s))


async def clock_that_stands(world: World) -> None:
    await _goes_on(world, stamped(world.reel, lambda _at, _stamp_s: 1.0))


async def clock_without_sense(world: World) -> None:
    await _goes_on(world, shuffled(world.reel, world.dice))


async def clock_of_another_speed(world: World) -> None:
    """Count in wrong units: after a while the camera is looked at as often as asked for."""
    speed = world.dice.choice([0.05, 0.25, 4, 20])
    sent = stamped(joined(*[world.reel] * 15), lambda _, stamp_s: stamp_s * speed)
    async with (
        world.wayward(reel=sent) as camera,
        world.watched(camera.url, sees=True) as watched,
    ):
        await asyncio.sleep((camera_clock.WINDOWS + 1) * camera_clock.WINDOW_S)
        began = asyncio.get_running_loop().time()
        before = watched.watch.stats.frames_sampled
        await watched.sampled(10, within_s=world.patience_s)
        took_s = asyncio.get_running_loop().time() - began
        rate = (watched.watch.stats.frames_sampled - before) / took_s
        assert 2 < rate < 9, f"{rate:.1f} frames a second in place of 5"
        assert watched.failures == []


async def corrupt_units(world: World) -> None:
    await _goes_on(world, corrupted(world.reel, world.dice, every=world.dice.randint(2, 6)))


async def b_frames(world: World) -> None:
    await _goes_on(world, await filmed(b_frames=world.dice.randint(1, 4)))


async def frozen_picture(world: World) -> None:
    await _goes_on(world, frozen(world.reel))


async def no_key_frame(world: World) -> None:
    """Join a stream in the middle of a group of pictures as long as a minute."""
    blind = without_pictures_to_begin_with(await filmed(key_every=1500))
    async with world.wayward(reel=blind) as camera:
        camera.temper.burst_s = 0.0
        async with world.watched(camera.url) as watched:
            found = await watched.until(
                lambda state: state.failure_reason == "no_key_frame",
                what="no key frame",
                within_s=world.patience_s,
            )
            world.noticed.append(found)
            assert watched.failures == []  # it is waited for, on the same connection
            camera.reel = world.reel
            await world.recovers(watched)


async def crowd_that_comes_back_at_once(world: World) -> None:
    """Break the connections of many cameras in the same moment."""
    count = _QUICK_CROWD if world.hurried else CROWD
    small = await filmed(size=(160, 128), fps=10, key_every=10)
    async with world.wayward(reel=small) as camera:
        crowd: list[WatchedCamera] = []
        try:
            crowd += [await world.process.camera(camera.url, sample_fps=1) for _ in range(count)]
            await asyncio.gather(*(one.sees() for one in crowd))
            for one in crowd:
                one.mark()
            assert camera.break_all() == count
            await asyncio.gather(*(world.notices(one, "ended") for one in crowd))
            await asyncio.gather(*(world.recovers(one) for one in crowd))
        finally:
            await asyncio.gather(*(world.process.leave(one) for one in crowd))


FAULTS: tuple[Fault, ...] = (
    wrong_password,
    no_password,
    unknown_path,
    closed_ports,
    another_protocol,
    accepts_and_stays_silent,
    deaf_for_a_while,
    switched_off,
    end_of_stream,
    connection_reset,
    stall,
    black_hole,
    digest_md5,
    digest_sha256,
    stale_nonce,
    password_changed,
    redirect,
    redirect_after_a_challenge,
    new_size_in_the_middle,
    new_codec_after_a_break,
    clock_that_jumps,
    clock_that_runs_backwards,
    clock_that_stands,
    clock_without_sense,
    clock_of_another_speed,
    corrupt_units,
    b_frames,
    frozen_picture,
    no_key_frame,
)


async def put_in(
    world: World, faults: Sequence[Fault] = FAULTS, *, seed: int, rounds: int, at_once: int
) -> int:
    """Put every fault in, several at once and each round in another order; return how many came.

    Raises:
        Violation: A fault was not named, or did not pass; ``steps`` are those of its moment.
    """
    dice = random.Random(seed)
    count = 0
    for round_ in range(rounds):
        order = dice.sample(faults, len(faults))
        for at in range(0, len(order), at_once):
            together = order[at : at + at_once]
            worlds = [replace(world, dice=_dice(seed, round_, fault)) for fault in together]
            results = await asyncio.gather(*map(_put, together, worlds), return_exceptions=True)
            for fault, found in zip(together, results, strict=True):
                if isinstance(found, BaseException):
                    raise _violation(seed, [fault], found) from found
            try:
                await world.check()
            except AssertionError as error:
                raise _violation(seed, together, error) from error
            count += len(together)
    return count


async def _put(fault: Fault, world: World) -> None:
    await fault(world)


def _dice(seed: int, round_: int, fault: Any) -> random.Random:
    """Return dice of a fault's own: those of a moment draw in any order."""
    return random.Random(f"{seed} {round_} {fault.__name__}")


def _violation(seed: int, faults: Sequence[Any], error: BaseException) -> Violation:
    what = f"{type(error).__name__}: {error}"
    return Violation(row=NAME, seed=seed, steps=names(faults), what=what)


async def run(seed: int, size: int) -> Figures:
    """Run the row in real time."""
    async with running_world(seed=seed, hurried=False) as world:
        before, began = world.neighbour.watch.stats, asyncio.get_running_loop().time()
        count = await put_in(world, seed=seed, rounds=size, at_once=AT_ONCE)
        noticed, recovered = list(world.noticed), list(world.recovered)
        await crowd_that_comes_back_at_once(world)
        await world.check()
        after, took_s = world.neighbour.watch.stats, asyncio.get_running_loop().time() - began
        crowd = world.recovered[len(recovered) :]
        pictures = await asyncio.to_thread(_send_pictures, world.process.pack_id, seed, size)
        await world.check_at_the_end()
        failures = len(world.neighbour.failures)
    expected = 5 * took_s
    return {
        "faults": count + pictures + 1,
        "noticed_p50_s": _quantile(noticed, 0.5),
        "noticed_p99_s": _quantile(noticed, 0.99),
        "recovered_p50_s": _quantile(recovered, 0.5),
        "recovered_p99_s": _quantile(recovered, 0.99),
        "crowd": CROWD,
        "crowd_recovered_p99_s": _quantile(crowd, 0.99),
        "neighbour_frames": after.frames_sampled - before.frames_sampled,
        "neighbour_frames_expected": round(expected),
        "neighbour_frames_dropped": after.frames_dropped - before.frames_dropped,
        "neighbour_failures": failures,
        "canary_connections": world.canary.connections,
    }


def _send_pictures(pack_id: str, seed: int, rounds: int) -> int:
    dice = random.Random(seed)
    with open_engine(pack_id, accelerator="cpu") as engine:
        for _ in range(rounds):
            for fault in PICTURES:
                try:
                    fault(dice, engine)
                except (AssertionError, pytest.fail.Exception) as error:
                    raise _violation(seed, [fault], error) from error
    return rounds * len(PICTURES)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 2)


ROW = Row(
    name=NAME,
    faults=names(FAULTS) + names((crowd_that_comes_back_at_once,)) + names(PICTURES),
    run=run,
)
