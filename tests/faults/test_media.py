"""The row "media" in a hurry; the last tests plant bugs and show that the faults find them."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import pytest

from face_engine import pictures
from face_engine.engine import FaceEngine
from tests.faults.media import (
    FAULTS,
    Fault,
    clock_that_runs_backwards,
    connection_reset,
    crowd_that_comes_back_at_once,
    digest_sha256,
    no_key_frame,
    put_in,
    redirect,
)
from tests.faults.media_pictures import PICTURES, animated_pictures
from tests.faults.media_world import World, running_world
from tests.faults.row import Violation, names
from tests.support.packs import builtin_engine, builtin_pack
from vision_worker.decode import reader
from vision_worker.decode.sampling import MediaTimeline
from vision_worker.sources.failure import failure_at_opening
from vision_worker.sources.network import RtspSource
from vision_worker.sources.opened import OpenedSource
from vision_worker.sources.relay import authorization
from vision_worker.watching.source_backoff import SourceBackoff

__all__ = ["builtin_engine", "builtin_pack"]


SEED = 2  # a redirect in RTSP, and a digest that counts


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(seed=7, hurried=True) as made:
        yield made


async def test_whatever_a_camera_does_is_named_and_passes(world: World) -> None:
    await put_in(world, seed=7, rounds=1, at_once=len(FAULTS))
    await crowd_that_comes_back_at_once(world)
    await world.check()
    await world.check_at_the_end()


@pytest.mark.parametrize("fault", PICTURES)
def test_pictures_that_somebody_sends(
    fault: Callable[[random.Random, FaceEngine], None], builtin_engine: FaceEngine
) -> None:
    fault(random.Random(7), builtin_engine)


def let_libav_connect_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(self: RtspSource) -> OpenedSource:
        url = f"rtsp://{self.address.authority}{self.address.target.reveal()}"
        try:
            container = av.open(url, timeout=(2, 2), options={"rtsp_transport": "tcp"})
        except av.error.FFmpegError as error:
            raise failure_at_opening(error) from None
        raise AssertionError(f"{container} opened")

    monkeypatch.setattr(RtspSource, "open", opened)


def count_every_answer_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    real = authorization.digest

    def digest(challenge: authorization.Challenge, **given: Any) -> str:
        return real(challenge, **(given | {"uses": 1}))

    monkeypatch.setattr(authorization, "digest", digest)


def believe_the_cameras_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(self: MediaTimeline, stamp_s: float | None) -> float:
        self.now_s = stamp_s or 0.0
        return self.now_s

    monkeypatch.setattr(MediaTimeline, "advance", advance)


def never_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SourceBackoff, "failed", lambda *_, **__: 3600.0)


def connect_anew_where_nothing_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_NO_PICTURE_S", 0.3)


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (let_libav_connect_by_itself, redirect),
        (count_every_answer_as_the_first, digest_sha256),
        (believe_the_cameras_clock, clock_that_runs_backwards),
        (never_try_again, connection_reset),
        (connect_anew_where_nothing_can_be_seen, no_key_frame),
    ],
)
async def test_a_planted_bug_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    fault: Fault,
) -> None:
    plant(monkeypatch)
    world.patience_s = 2.0
    with pytest.raises(Violation) as caught:
        await put_in(world, [fault], seed=SEED, rounds=1, at_once=1)
    assert caught.value.steps == names([fault])


def test_a_door_left_open_for_animations_is_found(
    builtin_engine: FaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_require_acceptable", lambda _picture: None)
    with pytest.raises(pytest.fail.Exception):
        animated_pictures(random.Random(7), builtin_engine)
