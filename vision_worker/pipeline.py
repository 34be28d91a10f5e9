"""One camera from frames to sightings: detect, track, pick the best shots, embed, identify, decide.

Frames come from a decoding thread, models run in the process's inference thread, and this object
connects them on asyncio and holds all state of the camera. It outlives its source: `watch` is
called again after a failure, while shots that the index has not answered keep waiting, bounded, so
that an index that is away costs no sighting and turns nobody into an unknown. Sightings leave
through `report`, as often as their state changes; people are counted on the way (`occupancy/`) and
leave through `count`; whoever looks is shown what was seen (`looking/`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from service_runtime.backoff import Backoff
from service_runtime.clock import Clock
from vision_worker.decode.batches.choice import BY_LIBAV, Decoding, Reader
from vision_worker.decode.frame import DecodeCounts, Frame
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings
from vision_worker.decode.thread_clock import SystemThreadClock, ThreadClock
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.scene import ShownFace
from vision_worker.models.inference import CameraInference, Look, Study
from vision_worker.occupancy.counting import OccupancyCounter, OccupancyRules, OccupancySample
from vision_worker.occupancy.people import SeenFace
from vision_worker.sightings.best_shot import BestShots, Shot, ShotRules
from vision_worker.sightings.crops import as_fractions
from vision_worker.sightings.decision import Candidate
from vision_worker.sightings.sighting import ReportRules, ShotRecord, SightingDraft, TrackSighting
from vision_worker.sources.opening import Source
from vision_worker.stats import PipelineStats, StageTiming
from vision_worker.tracking.shot_cut import is_cut
from vision_worker.tracking.tracker import FaceTracker, TrackingRules, TrackUpdate

_FPS_WINDOW_S = 10.0
_JOIN_S = 1.0


class IdentityUnavailable(Exception):
    """The index cannot be asked now; the same question may be asked again."""


class IdentityPort(Protocol):
    """Who may be behind an embedding: the identity index, or a fake of the tests."""

    async def identify(self, embeddings: NDArray[np.float32]) -> Sequence[tuple[Candidate, ...]]:
        """Return the closest people of each of (n, d) embeddings.

        Raises:
            IdentityUnavailable: ask again later.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """How a camera is watched.

    Attributes:
        frames_waiting: frames that may wait for the models; newer ones push out older ones.
        min_face_px: lower faces are left out, in pixels of the camera's picture, scaled down to a
            longest side of 1280 where it is larger.
        questions: shots that may wait for the index.
        batch: shots of one question.
        farewell_s: how long the end waits for outstanding answers.
        zone_config: what the operator drew.
    """

    decode: DecodeSettings = field(default_factory=DecodeSettings)
    frames_waiting: int = 2
    min_face_px: int = 40
    tracking: TrackingRules = field(default_factory=TrackingRules)
    shots: ShotRules = field(default_factory=ShotRules)
    reports: ReportRules = field(default_factory=ReportRules)
    occupancy: OccupancyRules = field(default_factory=OccupancyRules)
    zone_config: Mapping[str, Any] = field(default_factory=dict)
    questions: int = 512
    batch: int = 32
    farewell_s: float = 3.0


@dataclass(slots=True, kw_only=True)
class _Counters:
    decoded: int = 0
    sampled: int = 0
    dropped: int = 0
    damaged: int = 0
    faces: int = 0
    embeddings: int = 0
    identify_calls: int = 0
    identify_failures: int = 0
    questions_dropped: int = 0
    tracks: int = 0
    reports: int = 0
    stages: dict[str, StageTiming] = field(default_factory=dict)

    def spent(self, stage: str, seconds: float, count: int = 1) -> None:
        before = self.stages.get(stage, StageTiming())
        self.stages[stage] = StageTiming(
            count=before.count + count, seconds=before.seconds + seconds
        )

    def add_decoding(self, counts: DecodeCounts) -> None:
        self.decoded += counts.decoded
        self.sampled += counts.sampled
        self.dropped += counts.dropped
        self.damaged += counts.damaged
        self.spent("decode", counts.decode_s, counts.decoded)
        self.spent("convert", counts.convert_s, counts.sampled)


class CameraPipeline:
    """One camera's pipeline; use it as `async with`, and call `watch` within."""

    def __init__(
        self,
        *,
        camera_id: str,
        inference: CameraInference,
        identity: IdentityPort,
        report: Callable[[SightingDraft], None],
        count: Callable[[Sequence[OccupancySample]], None],
        clock: Clock,
        settings: PipelineSettings | None = None,
        decoding: Decoding = BY_LIBAV,
        thread_clock: ThreadClock | None = None,
        backoff: Backoff | None = None,
        onlookers: Onlookers | None = None,
    ) -> None:
        self._camera_id = camera_id
        self._inference = inference
        self._identity = identity
        self._report = report
        self._count = count
        self._clock = clock
        self._settings = settings or PipelineSettings()
        self._thread_clock = thread_clock or SystemThreadClock()
        self._backoff = backoff or Backoff(initial_s=0.25, cap_s=5.0)
        self._onlookers = onlookers
        self._tracker = FaceTracker(self._settings.tracking)
        self._people = OccupancyCounter(self._settings.zone_config, self._settings.occupancy)
        self._tracks: dict[int, TrackSighting] = {}
        self._questions: deque[tuple[TrackSighting, ShotRecord]] = deque()
        self._asked = asyncio.Event()
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._identifying: asyncio.Task[None] | None = None
        self._decoding = decoding
        self._reader: Reader | None = None
        self._hanging: list[Reader] = []
        self._thumb: NDArray[np.uint8] | None = None
        self._counters = _Counters()
        self._recent: deque[float] = deque(maxlen=256)
        self._media_s = 0.0
        self._media_offset_s = 0.0
        self.seeing = asyncio.Event()  # set while frames come

    async def __aenter__(self) -> Self:
        self._identifying = asyncio.create_task(
            self._identify_for_ever(), name=f"identify {self._camera_id}"
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait a moment for outstanding answers, then end."""
        if kind is None or issubclass(kind, Exception):
            await self._await_answers()
        if self._identifying is not None:
            self._identifying.cancel()
            with suppress(asyncio.CancelledError):
                await self._identifying

    async def watch(self, source: Source) -> None:
        """Read a source to its end; every track ends with it.

        Raises:
            SourceFailure: the source failed. `watch` may be called again.
        """
        frames = NewestFrames(asyncio.get_running_loop(), capacity=self._settings.frames_waiting)
        side = self._inference.working_side
        decoding = replace(self._settings.decode, longest_side=side)
        reader = self._decoding.open_reader(source, frames, decoding, self._thread_clock)
        self._reader = reader
        self._media_offset_s = self._media_s + 1.0  # this stream's time goes on after the last one
        self._thumb = None
        self._people.restart()
        reader.start()
        try:
            async for frame in frames:
                await self._take(frame)
        finally:
            reader.stop()
            self._end_all()
            if not await asyncio.to_thread(reader.join, _JOIN_S):
                self._hanging.append(reader)
            self._counters.add_decoding(reader.counts)
            self._reader = None
            self._recent.clear()
            self.seeing.clear()

    @property
    def stats(self) -> PipelineStats:
        """Return the counters of this moment."""
        total = self._counters
        live = _Counters(**{name: getattr(total, name) for name in ("decoded", "sampled")})
        live.dropped, live.damaged, live.stages = total.dropped, total.damaged, {**total.stages}
        if self._reader is not None:
            live.add_decoding(self._reader.counts)
        return PipelineStats(
            fps=self._fps(),
            sample_fps=0.0 if self._reader is None else self._reader.sample_fps,
            stuck_s=self._stuck_s(),
            overloaded=self._reader is not None and self._reader.overloaded,
            blind=self._reader is not None and self._reader.blind,
            decoder=self._decoding.name if self._reader is None else self._reader.decoder,
            decoder_reason=self._decoding.reason
            or ("" if self._reader is None else self._reader.decoder_reason),
            frames_decoded=live.decoded,
            frames_sampled=live.sampled,
            frames_dropped=live.dropped,
            frames_damaged=live.damaged,
            faces_detected=total.faces,
            embeddings=total.embeddings,
            identify_calls=total.identify_calls,
            identify_failures=total.identify_failures,
            questions_waiting=len(self._questions),
            questions_dropped=total.questions_dropped,
            tracks=total.tracks,
            reports=total.reports,
            stages=live.stages,
        )

    def _stuck_s(self) -> float:
        """Return how long a decoding thread is in its present step, an abandoned one too."""
        self._hanging = [reader for reader in self._hanging if reader.stuck_s > 0]
        readers = self._hanging if self._reader is None else [*self._hanging, self._reader]
        return max((reader.stuck_s for reader in readers), default=0.0)

    def _fps(self) -> float:
        now = self._clock.monotonic()
        while self._recent and now - self._recent[0] > _FPS_WINDOW_S:
            self._recent.popleft()
        span = now - self._recent[0] if len(self._recent) > 1 else 0.0
        return (len(self._recent) - 1) / span if span > 0 else 0.0

    async def _take(self, frame: Frame) -> None:
        if self._identifying is not None and self._identifying.done():
            self._identifying.result()  # it never ends by itself: raise what ended it
        self._recent.append(self._clock.monotonic())
        self.seeing.set()
        look = await self._inference.look(frame, min_face_px=self._settings.min_face_px)
        self._counters.faces += len(look.detections)
        self._counters.spent("detect", look.detect_s)
        began = time.perf_counter()
        self._media_s = self._media_offset_s + frame.media_s
        if frame.cut or (self._thumb is not None and is_cut(self._thumb, look.thumb)):
            self._end_all()
            self._people.restart()
        self._thumb = look.thumb
        found = look.detections
        update = self._tracker.update(self._media_s, found.boxes, found.scores)
        self._count_people(frame, look, update)
        views = self._gather(frame, look, update)
        self._counters.spent("track", time.perf_counter() - began)
        if views:
            await self._study(frame, look, views)
        self._close(update)
        for track in list(self._tracks.values()):
            self._report_if_due(track)
        if self._onlookers is not None and self._onlookers.here:
            self._onlookers.show(frame, tuple(self._shown(frame, look, update)))

    def _shown(self, frame: Frame, look: Look, update: TrackUpdate) -> Iterator[ShownFace]:
        """Yield the tracked faces of a frame, with what is known of each by now."""
        for face in update.faces:
            track = self._tracks.get(face.track_id)
            decided = None if track is None else track.decided
            yield ShownFace(
                box=as_fractions(look.detections.boxes[face.detection], frame.picture.size),
                quality=look.outlines[face.detection][0],
                decision=None if decided is None else decided.decision,
                person_id=None if decided is None else decided.person_id,
                score=None if decided is None else decided.score,
            )

    def _count_people(self, frame: Frame, look: Look, update: TrackUpdate) -> None:
        width, height = frame.picture.size
        seen: list[SeenFace] = []
        for face in update.faces:
            if face.state == "confirmed":
                box = look.detections.boxes[face.detection]
                x, y, across, down = as_fractions(box, (width, height))
                seen.append(
                    SeenFace(
                        track_id=face.track_id,
                        centre=(x + across / 2, y + down / 2),
                        height=down,
                        score=float(look.detections.scores[face.detection]),
                    )
                )
        samples = self._people.see(
            at=frame.captured_at, media_s=self._media_s, faces=seen, aspect=width / height
        )
        if samples:
            self._count(samples)

    def _gather(
        self, frame: Frame, look: Look, update: TrackUpdate
    ) -> list[tuple[TrackSighting, int]]:
        """Note who was seen; return the views that may be worth an embedding, as detections."""
        views: list[tuple[TrackSighting, int]] = []
        for face in update.faces:
            track = self._tracks.get(face.track_id)
            if track is None:
                track = self._tracks[face.track_id] = self._new_track(face.track_id, frame)
            confirmed = face.state == "confirmed"
            self._counters.tracks += confirmed and not track.confirmed
            track.seen(at=frame.captured_at, media_s=self._media_s, confirmed=confirmed)
            if not confirmed:
                continue
            score, verdict = look.outlines[face.detection]
            wanted = track.shots.wanted(
                at_s=self._media_s, quality=score, verdict=verdict, rules=self._settings.shots
            )
            if wanted or self._lacks_stand_in(track):
                views.append((track, face.detection))
        return views

    def _lacks_stand_in(self, track: TrackSighting) -> bool:
        return track.shots.lacks_stand_in(
            at_s=self._media_s, frames=track.frames, rules=self._settings.shots
        )

    def _new_track(self, track_id: int, frame: Frame) -> TrackSighting:
        return TrackSighting(
            camera_id=self._camera_id,
            track_id=track_id,
            pack_id=self._inference.pack.pack_id,
            thresholds=self._inference.pack.thresholds,
            rules=self._settings.reports,
            started_at=frame.captured_at,
            started_s=self._media_s,
            ended_at=frame.captured_at,
            seen_s=self._media_s,
            shots=BestShots(started_s=self._media_s),
        )

    async def _study(
        self, frame: Frame, look: Look, views: Sequence[tuple[TrackSighting, int]]
    ) -> None:
        """Assess views and keep those that are taken."""
        faces = look.detections.select([detection for _, detection in views])
        study = await self._inference.study(frame.picture, faces)
        self._counters.spent("assess", study.seconds, len(views))
        taken: list[tuple[TrackSighting, Shot, int]] = []
        for row, ((track, _), quality) in enumerate(zip(views, study.qualities, strict=True)):
            track.shots, shot = track.shots.offer(
                at_s=self._media_s,
                quality=quality.score,
                verdict=quality.verdict,
                rules=self._settings.shots,
            )
            if shot is None and self._lacks_stand_in(track):
                track.shots, shot = track.shots.offer_stand_in(
                    at_s=self._media_s, quality=quality.score
                )
            if shot is not None:
                taken.append((track, shot, row))
        if taken:
            await self._keep(frame, look, faces.boxes, study, taken)

    async def _keep(
        self,
        frame: Frame,
        look: Look,
        boxes: NDArray[np.float32],
        study: Study,
        taken: Sequence[tuple[TrackSighting, Shot, int]],
    ) -> None:
        """Embed shots, and ask who they show, but for those that only stand in for better ones."""
        rows = [row for *_, row in taken]
        shots = await self._inference.take(
            frame, boxes[rows], study.chips[rows], seen=look.detections.boxes
        )
        self._counters.embeddings += len(rows)
        self._counters.spent("embed", shots.embed_s, len(rows))
        self._counters.spent("crop", shots.crop_s, len(rows))
        for at, (track, shot, row) in enumerate(taken):
            record = ShotRecord(
                key=shot.key,
                quality=study.qualities[row],
                box=as_fractions(boxes[row], frame.picture.size),
                embedding=shots.embeddings[at],
                crop=shots.crops[at],
                context=shots.contexts[at],
                captured_at=frame.captured_at,
            )
            if track.shots.stand_in is shot:
                track.stand_in_with(record)
            else:
                track.ask(record)
                self._ask(track, record)

    def _ask(self, track: TrackSighting, record: ShotRecord) -> None:
        self._questions.append((track, record))
        if len(self._questions) > self._settings.questions:
            oldest, lost = self._questions.popleft()
            oldest.lost(lost.key)
            self._counters.questions_dropped += 1
            self._report_if_due(oldest)
        self._all_answered.clear()
        self._asked.set()

    def _close(self, update: TrackUpdate) -> None:
        for track_id in update.dropped:
            self._tracks.pop(track_id, None)
        for track_id in update.ended:
            track = self._tracks.pop(track_id, None)
            if track is not None:
                track.over = True  # from here on only its outstanding answers hold it
                self._report_if_due(track)

    def _end_all(self) -> None:
        self._close(self._tracker.end_all())

    def _report_if_due(self, track: TrackSighting) -> None:
        draft = track.due(self._media_s)
        if draft is not None:
            self._counters.reports += 1
            self._report(draft)

    async def _identify_for_ever(self) -> None:
        failures = 0
        while True:
            await self._asked.wait()
            batch = list(islice(self._questions, self._settings.batch))
            if not batch:
                self._asked.clear()
                self._all_answered.set()
                continue
            began = time.perf_counter()
            self._counters.identify_calls += 1
            try:
                answers = await self._identity.identify(
                    np.stack([record.embedding for _, record in batch])
                )
            except IdentityUnavailable:
                failures += 1
                self._counters.identify_failures += 1
                await self._clock.sleep(self._backoff.delay(failures))
                continue
            failures = 0
            self._counters.spent("identify", time.perf_counter() - began)
            self._note(batch, answers)

    def _note(
        self,
        batch: Sequence[tuple[TrackSighting, ShotRecord]],
        answers: Sequence[tuple[Candidate, ...]],
    ) -> None:
        now = self._clock.now()
        answered = set()
        for (track, record), candidates in zip(batch, answers, strict=True):
            answered.add((track.id, record.key))
            track.answered(record.key, candidates, now=now)
        # some may have been dropped meanwhile, from the left, as too many waited
        while self._questions and (self._questions[0][0].id, self._questions[0][1].key) in answered:
            self._questions.popleft()
        for track in {track.id: track for track, _ in batch}.values():
            self._report_if_due(track)

    async def _await_answers(self) -> None:
        if self._all_answered.is_set() or self._identifying is None:
            return
        answered = asyncio.ensure_future(self._all_answered.wait())
        patience = asyncio.ensure_future(self._clock.sleep(self._settings.farewell_s))
        await asyncio.wait(
            {answered, patience, self._identifying}, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (answered, patience):
            task.cancel()
