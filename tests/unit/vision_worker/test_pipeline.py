"""One camera from a real clip to sightings, with the real models and an index that does as told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cli.demo.clip_maker import astronaut_photo, make_demo_clip
from face_engine.engine import FaceEngine
from face_engine.pictures import decode_picture
from service_runtime.secret import Secret
from tests.support.batch_decoders import LibavBatches
from tests.support.clips import moving_pattern, write_clip
from tests.support.inference import inference_with
from tests.support.media import media_path
from tests.support.thread_clocks import RushingClock
from tests.support.virtual_clock import VirtualClock
from vision_worker.decode.batches.batch_thread import BatchThread
from vision_worker.decode.batches.choice import BY_LIBAV, BatchReaders, Decoding
from vision_worker.decode.frame import Frame
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import ShownFace
from vision_worker.occupancy.counting import OccupancyRules, OccupancySample
from vision_worker.pipeline import CameraPipeline, IdentityUnavailable, PipelineSettings
from vision_worker.sightings.decision import Candidate
from vision_worker.sightings.sighting import SightingDraft
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.opening import OpenedSource, Source, Sources
from vision_worker.sources.policy import SourcePolicy

EVERY_FRAME = 10_000
EVERYWHERE = {"name": "everywhere", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
NOWHERE = {"name": "nowhere", "polygon": [[0, 0.99], [0.01, 0.99], [0.01, 1]]}


@dataclass(kw_only=True)
class Gallery:
    """An index in memory."""

    people: dict[str, NDArray[np.float32]]
    away: bool = False
    broken: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event | None = None

    async def identify(self, embeddings: NDArray[np.float32]) -> Sequence[tuple[Candidate, ...]]:
        self.asked.set()
        if self.away:
            raise IdentityUnavailable
        if self.broken:
            raise ZeroDivisionError
        if self.may_answer is not None:
            await self.may_answer.wait()
        return [
            tuple(
                Candidate(person_id=name, face_id=f"{name}-1", score=float(row @ known))
                for name, known in self.people.items()
            )
            for row in embeddings
        ]


class Somebody(Onlookers):
    """Looks all the time, or never."""

    def __init__(self, *, looks: bool) -> None:
        super().__init__(thread=PictureThread(), clock=VirtualClock())
        self.looks = looks
        self.shown: list[tuple[ShownFace, ...]] = []

    @property
    def here(self) -> bool:
        return self.looks

    def show(self, frame: Frame, faces: tuple[ShownFace, ...]) -> None:
        assert frame.image.size
        self.shown.append(faces)


@dataclass(kw_only=True)
class Camera:
    """A pipeline under test."""

    pipeline: CameraPipeline
    gallery: Gallery
    clock: VirtualClock
    drafts: list[SightingDraft]
    samples: list[OccupancySample]

    def latest(self) -> dict[str, SightingDraft]:
        """Return the last report of each sighting."""
        return {draft.id: draft for draft in self.drafts}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    make_demo_clip(astronaut_photo(), root / "astronaut.mp4", seconds=7.0, fps=10)
    write_clip(root / "nobody.mp4", moving_pattern(50, (320, 180)))
    return root


@pytest.fixture(scope="module")
def astronaut(builtin_engine: FaceEngine) -> NDArray[np.float32]:
    photo = decode_picture(astronaut_photo().read_bytes())
    return builtin_engine.analyze(photo)[0].embedding


@asynccontextmanager
async def camera(
    engine: FaceEngine,
    people: dict[str, NDArray[np.float32]],
    *,
    away: bool = False,
    questions: int = 512,
    onlookers: Onlookers | None = None,
    decoding: Decoding = BY_LIBAV,
) -> AsyncIterator[Camera]:
    drafts: list[SightingDraft] = []
    samples: list[OccupancySample] = []
    gallery, clock = Gallery(people=people, away=away), VirtualClock()
    with inference_with(engine) as inference:
        async with CameraPipeline(
            camera_id="cam",
            inference=inference,
            identity=gallery,
            report=drafts.append,
            count=samples.extend,
            clock=clock,
            thread_clock=RushingClock(),
            onlookers=onlookers,
            decoding=decoding,
            settings=PipelineSettings(
                frames_waiting=EVERY_FRAME,
                questions=questions,
                farewell_s=0.0 if away else 3.0,
                occupancy=OccupancyRules(every_s=1.0),
                zone_config={"zones": [EVERYWHERE, NOWHERE]},
            ),
        ) as pipeline:
            yield Camera(
                pipeline=pipeline, gallery=gallery, clock=clock, drafts=drafts, samples=samples
            )


def clip(media: Path, name: str, query: str = "?loop=false") -> Source:
    return Sources(SourcePolicy(media_root=media)).source_for(Secret(f"file:///{name}{query}"))


async def test_a_person_is_the_same_sighting_where_cameras_are_decoded_in_batches(
    yunet_engine: FaceEngine, media: Path
) -> None:
    """All of the way that a GPU takes, with libav and the CPU in its place."""
    photo = decode_picture(astronaut_photo().read_bytes())
    people = {"astronaut": yunet_engine.analyze(photo)[0].embedding}
    decoder = LibavBatches()
    batches = BatchThread(decoder, yunet_engine.input_sizes)
    batches.start()
    decoding = Decoding(name="dali-nvdec", reason=None, open_reader=BatchReaders(batches))
    async with camera(yunet_engine, people, decoding=decoding) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
        stats = cam.pipeline.stats
    batches.close()
    async with camera(yunet_engine, people) as usual:
        await usual.pipeline.watch(clip(media, "astronaut.mp4"))
    assert (stats.frames_dropped, stats.frames_damaged) == (0, 0)
    assert stats.faces_detected == pytest.approx(usual.pipeline.stats.faces_detected, abs=2)
    (last,), (other,) = cam.latest().values(), usual.latest().values()
    assert (last.decision.decision, last.decision.person_id) == ("match", "astronaut")
    assert float(last.best.embedding @ other.best.embedding) > 0.97
    assert last.best.box == pytest.approx(other.best.box, abs=0.05)
    assert sum(decoder.sizes) > 0


async def test_an_enrolled_person_is_one_sighting_with_its_evidence(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    somebody = Somebody(looks=True)
    async with camera(builtin_engine, {"astronaut": astronaut}, onlookers=somebody) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
    (last,) = cam.latest().values()
    assert (last.decision.decision, last.decision.person_id) == ("match", "astronaut")
    assert last.decision.score is not None
    assert last.decision.score > last.decision.threshold
    assert last.decision.votes >= 2
    assert last.over
    assert [draft.revision for draft in cam.drafts] == list(range(1, len(cam.drafts) + 1))
    first = cam.drafts[0]
    assert (first.ended_at - first.started_at).total_seconds() <= 3.0
    assert last.frames >= 10
    assert np.linalg.norm(last.best.embedding) == pytest.approx(1.0, abs=1e-3)
    assert len(builtin_engine.analyze(decode_picture(last.best.crop))) == 1
    x, y, width, height = last.best.box
    assert 0 <= x <= x + width <= 1
    assert 0 <= y <= y + height <= 1
    counted = [(sample.zone, sample.occupancy) for sample in cam.samples]
    assert ("", 1) in counted
    assert counted.count(("everywhere", 1)) == counted.count(("", 1))
    assert {occupancy for zone, occupancy in counted if zone == "nowhere"} == {0}
    times = [sample.at for sample in cam.samples if not sample.zone]
    assert len(times) >= 5
    assert all(0.7 < (b - a).total_seconds() < 2.3 for a, b in pairwise(times))
    assert len(somebody.shown) == cam.pipeline.stats.frames_sampled
    faces = [face for shown in somebody.shown for face in shown]
    assert {face.decision for face in faces} == {None, "match"}
    assert {face.person_id for face in faces if face.decision} == {"astronaut"}
    assert all(0 < face.quality <= 1 and sum(face.box[::2]) <= 1 for face in faces)


async def test_a_stranger_is_unknown_never_the_nearest_person(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    other = np.roll(astronaut, 1)
    async with camera(builtin_engine, {"somebody": other}) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
    assert {draft.decision.decision for draft in cam.drafts} == {"unknown"}
    assert {draft.decision.person_id for draft in cam.drafts} == {None}
    assert cam.drafts[-1].decision.candidates[0].person_id == "somebody"


async def test_an_empty_gallery_knows_nobody(builtin_engine: FaceEngine, media: Path) -> None:
    async with camera(builtin_engine, {}) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
    (last,) = cam.latest().values()
    assert (last.decision.decision, last.decision.score) == ("unknown", None)


async def test_a_scene_without_a_face_reports_nothing(
    builtin_engine: FaceEngine, media: Path
) -> None:
    nobody_looks = Somebody(looks=False)
    async with camera(builtin_engine, {}, onlookers=nobody_looks) as cam:
        await cam.pipeline.watch(clip(media, "nobody.mp4"))
    assert cam.drafts == []
    assert nobody_looks.shown == []
    assert cam.pipeline.stats.embeddings == 0


async def test_sightings_wait_for_an_index_that_is_away(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}, away=True) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
        assert cam.drafts == []
        assert cam.pipeline.stats.questions_waiting >= 2
        cam.gallery.away = False
        await cam.clock.advance(30.0)
        (last,) = cam.latest().values()
        assert (last.decision.person_id, last.over) == ("astronaut", True)
        stats = cam.pipeline.stats
        assert (stats.questions_waiting, stats.questions_dropped) == (0, 0)
        assert stats.identify_failures >= 1


async def test_what_waits_is_bounded_and_its_loss_counted(
    builtin_engine: FaceEngine, media: Path
) -> None:
    async with camera(builtin_engine, {}, away=True, questions=1) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
        stats = cam.pipeline.stats
        assert stats.questions_waiting == 1
        assert stats.questions_dropped == stats.embeddings - 1
        cam.gallery.away = False
        await cam.clock.advance(30.0)
        assert len(cam.latest()) == 1


async def test_frames_go_on_while_the_index_thinks(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}) as cam:
        cam.gallery.may_answer = asyncio.Event()
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
        assert cam.pipeline.stats.frames_sampled == 35
        assert cam.drafts == []
        cam.gallery.may_answer.set()
    (last,) = cam.latest().values()
    assert last.over


@dataclass(kw_only=True)
class Rounds:
    """A recording that begins again a given number of times."""

    inner: Source
    left: int
    live: bool = False

    @property
    def loops(self) -> bool:
        self.left -= 1
        return self.left > 0

    def open(self) -> OpenedSource:
        return self.inner.open()


async def test_every_round_of_a_looping_clip_is_a_sighting_of_its_own(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}) as cam:
        await cam.pipeline.watch(Rounds(inner=clip(media, "astronaut.mp4"), left=2))
    first, second = cam.latest().values()
    assert first.track_id != second.track_id
    assert first.over
    assert second.over
    assert {first.decision.person_id, second.decision.person_id} == {"astronaut"}


async def test_a_watch_that_is_cancelled_says_the_last_word_on_its_tracks(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}) as cam:
        watching = asyncio.create_task(cam.pipeline.watch(clip(media, "astronaut.mp4")))
        await asyncio.wait_for(cam.gallery.asked.wait(), 30)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
    (last,) = cam.latest().values()
    assert last.over
    assert cam.pipeline.stats.frames_sampled >= last.frames


@dataclass(kw_only=True)
class DyingSource:
    """A clip that claims to be a live camera, so that its end is a failure."""

    inner: Source
    loops: bool = False
    live: bool = True

    def open(self) -> OpenedSource:
        return self.inner.open()


async def test_a_source_that_fails_ends_its_tracks_and_may_be_watched_again(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}) as cam:
        for _ in range(2):
            with pytest.raises(SourceFailure) as caught:
                await cam.pipeline.watch(DyingSource(inner=clip(media, "astronaut.mp4")))
            assert caught.value.reason == "ended"
        stats = cam.pipeline.stats
    assert len(cam.latest()) == 2
    assert len({draft.track_id for draft in cam.drafts}) == 2
    assert all(draft.over for draft in cam.latest().values())
    assert stats.frames_sampled == 70


async def test_a_defect_in_identification_is_not_swallowed(
    builtin_engine: FaceEngine, media: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with camera(builtin_engine, {}) as cam:
            cam.gallery.broken = True
            await cam.pipeline.watch(clip(media, "astronaut.mp4"))


async def test_all_stages_are_counted_and_timed(
    builtin_engine: FaceEngine, media: Path, astronaut: NDArray[np.float32]
) -> None:
    async with camera(builtin_engine, {"astronaut": astronaut}) as cam:
        await cam.pipeline.watch(clip(media, "astronaut.mp4"))
    stats = cam.pipeline.stats
    assert (stats.frames_decoded, stats.frames_sampled, stats.frames_dropped) == (70, 35, 0)
    assert stats.tracks == 1
    assert stats.faces_detected >= 10
    assert 2 <= stats.embeddings <= 8
    assert stats.reports == len(cam.drafts)
    assert set(stats.stages) == {
        *("decode", "convert", "detect", "assess", "track", "embed", "crop", "identify"),
    }
    assert stats.stages["detect"].count == 35
    assert all(timing.seconds > 0 for timing in stats.stages.values())


@pytest.mark.media
async def test_the_stage_clip_has_the_singer_and_few_tracks(builtin_engine: FaceEngine) -> None:
    folder = media_path("data/stage_clip.mp4").parent
    async with camera(builtin_engine, {}) as cam:
        await cam.pipeline.watch(clip(folder, "stage_clip.mp4"))
    assert 1 <= cam.pipeline.stats.tracks <= 15
    longest = max(cam.latest().values(), key=lambda draft: draft.frames)
    assert longest.frames >= 15
    assert longest.best.quality.score > 0.8
