"""Many cameras, one batch: who waits, who is pushed out, and what is told when it breaks."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.support.batch_decoders import LibavBatches
from vision_worker.decode.batches.batch_thread import (
    BatchFailed,
    BatchThread,
    BatchWork,
    Made,
    Outcome,
)
from vision_worker.decode.batches.full_pictures import ArrayPicture


@dataclass
class Told:
    """Collects outcomes of one camera."""

    outcomes: list[Outcome] = field(default_factory=list)
    news: threading.Event = field(default_factory=threading.Event)

    def __call__(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.news.set()

    def wait(self) -> Outcome:
        assert self.news.wait(10)
        return self.outcomes[-1]


def _picture(shade: int, size: tuple[int, int] = (64, 48)) -> ArrayPicture:
    return ArrayPicture(np.full((size[1], size[0], 3), shade, np.uint8))


def _work(told: Told, shade: int, size: tuple[int, int] = (64, 48)) -> BatchWork:
    return BatchWork(source=[_picture(shade, size)], longest_side=32, deliver=told)


@pytest.fixture
def decoder() -> LibavBatches:
    return LibavBatches(width=3)


@pytest.fixture
def batches(decoder: LibavBatches) -> Iterator[BatchThread]:
    thread = BatchThread(decoder, lambda _working: ())
    thread.start()
    yield thread
    decoder.gate.set()
    thread.close()
    assert not thread.alive
    assert decoder.closed


def _hold_up(decoder: LibavBatches, batches: BatchThread) -> Told:
    """Keep the thread busy until the gate opens."""
    decoder.gate.clear()
    first = Told()
    batches.put("first", _work(first, 1))
    assert decoder.at_gate.wait(10)
    return first


def test_what_waits_becomes_one_batch_of_bounded_width(
    decoder: LibavBatches, batches: BatchThread
) -> None:
    _hold_up(decoder, batches)
    told = [Told() for _ in range(5)]
    for camera, one in enumerate(told):
        batches.put(camera, _work(one, 10 * camera))
    decoder.gate.set()
    for camera, one in enumerate(told):
        outcome = one.wait()
        assert isinstance(outcome, Made)
        (made,) = outcome.pictures
        assert made.image.shape == (24, 32, 3)
        assert made.image.max() == 10 * camera
    assert decoder.prepared == [1, 3, 2]


def test_the_newer_work_of_a_camera_pushes_out_the_older(
    decoder: LibavBatches, batches: BatchThread
) -> None:
    _hold_up(decoder, batches)
    older, newer = Told(), Told()
    batches.put("camera", _work(older, 20))
    assert batches.forget("camera")
    batches.put("camera", _work(newer, 40))
    decoder.gate.set()
    outcome = newer.wait()
    assert isinstance(outcome, Made)
    assert outcome.pictures[0].image.max() == 40
    assert older.outcomes == []
    assert not batches.forget("camera")


def test_pictures_of_different_working_sizes_share_a_batch(
    decoder: LibavBatches, batches: BatchThread
) -> None:
    _hold_up(decoder, batches)
    wide, tall = Told(), Told()
    batches.put("wide", _work(wide, 50, (64, 32)))
    batches.put("tall", _work(tall, 60, (32, 64)))
    decoder.gate.set()
    shapes = []
    for one in (wide, tall):
        outcome = one.wait()
        assert isinstance(outcome, Made)
        shapes.append(outcome.pictures[0].image.shape)
    assert shapes == [(16, 32, 3), (32, 16, 3)]


def test_a_decoder_that_breaks_is_told_to_all_and_takes_nothing_more(
    decoder: LibavBatches, batches: BatchThread
) -> None:
    first = _hold_up(decoder, batches)
    waiting = Told()
    batches.put("waiting", _work(waiting, 2))
    decoder.breaks = True
    decoder.gate.set()
    assert isinstance(first.wait(), BatchFailed)
    assert isinstance(waiting.wait(), BatchFailed)
    with pytest.raises(BatchFailed):
        batches.put("late", _work(Told(), 3))
    assert not batches.alive
