"""One track on its way to being a sighting: its evidence, and when it is worth a report.

Pure: it is told everything, with times. The first report goes out as soon as the person is known,
or after a few shots, at the latest some 3 s into the track; later ones when something changed, now
and then to say that the person is still there, and at the end. A track of which nothing was worth
comparing is reported once, at its end, as somebody unknown. `pipeline.py` keeps one for each track.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from face_engine.packs import Thresholds
from face_engine.values import Quality
from vision_worker.sightings.best_shot import BestShots
from vision_worker.sightings.decision import Candidate, ShotEvidence, TrackDecision, decide


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRules:
    """When a sighting is reported.

    Attributes:
        patience_s: time into the track after which it is decided with what is there.
        enough_shots: answered shots after which it is decided before that.
        refresh_s: time after which an unchanged sighting is reported again.
    """

    patience_s: float = 2.4
    enough_shots: int = 3
    refresh_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShotRecord:
    """An embedded shot.

    Attributes:
        box: x, y, width, height as fractions of the picture.
        embedding: (d,) float32 of unit length.
        crop: JPEG of the face with some surroundings.
        context: JPEG of the whole picture, scaled down.
        captured_at: wall-clock time of its frame, UTC.
    """

    key: int
    quality: Quality
    box: tuple[float, float, float, float]
    embedding: NDArray[np.float32]
    crop: bytes
    context: bytes
    captured_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SightingDraft:
    """A sighting as it stands; reports of the same id replace each other.

    Attributes:
        id: UUID, made once a track.
        revision: 1 and up, one more with each report.
        ended_at: the last frame so far in which the face was seen.
        over: the track has ended, this is the last report.
        frames: in which the face was seen.
        best: the shot that stands for the sighting.
        latency_ms: from the frame that made the decision possible to the decision.
    """

    id: str
    camera_id: str
    track_id: int
    revision: int
    decision: TrackDecision
    started_at: datetime
    ended_at: datetime
    over: bool
    frames: int
    best: ShotRecord
    pack_id: str
    threshold_version: str
    latency_ms: float


@dataclass(slots=True, kw_only=True)
class TrackSighting:
    """The evidence of one track so far."""

    camera_id: str
    track_id: int
    pack_id: str
    thresholds: Thresholds
    rules: ReportRules
    started_at: datetime
    started_s: float
    ended_at: datetime
    seen_s: float
    shots: BestShots
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    frames: int = 0
    confirmed: bool = False
    over: bool = False
    records: dict[int, ShotRecord] = field(default_factory=dict)
    answers: dict[int, tuple[Candidate, ...]] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    stand_in: ShotRecord | None = None
    latency_ms: float = 0.0
    revision: int = 0
    reported_s: float = 0.0
    reported: tuple[str, str | None, int] | None = None
    decided: TrackDecision | None = None
    reported_over: bool = False

    def seen(self, *, at: datetime, media_s: float, confirmed: bool) -> None:
        """Note a frame with this face."""
        self.frames += 1
        self.ended_at, self.seen_s = at, media_s
        self.confirmed = self.confirmed or confirmed

    def ask(self, record: ShotRecord) -> None:
        """Note an embedded shot whose answer is on its way."""
        self.records[record.key] = record
        self.waiting.add(record.key)
        self._forget_replaced()

    def stand_in_with(self, record: ShotRecord) -> None:
        """Note a poor shot that stands for the track where there is no other."""
        self.stand_in = record

    def answered(self, key: int, candidates: Sequence[Candidate], *, now: datetime) -> None:
        """Note what the index said about a shot."""
        self.waiting.discard(key)
        if key in self.records:
            self.answers[key] = tuple(candidates)
            passed = now - self.records[key].captured_at
            self.latency_ms = max(0.0, passed.total_seconds() * 1000)
        self._forget_replaced()

    def lost(self, key: int) -> None:
        """Note that the index will never be asked about a shot."""
        self.waiting.discard(key)
        self.records.pop(key, None)

    @property
    def settled(self) -> bool:
        """Return whether nothing more can come: over, and no answer outstanding."""
        return self.over and not self.waiting

    def due(self, now_s: float) -> SightingDraft | None:
        """Return the report that should go out now, if one should; it counts as sent."""
        best = self._best()
        if best is None or not self.confirmed:
            return None
        decision = self._decide()
        state = (decision.decision, decision.person_id, best.key)
        if self.reported is None:
            ripe = (
                decision.decision == "match"
                or len(self.answers) >= self.rules.enough_shots
                or now_s - self.started_s >= self.rules.patience_s
                or self.settled
            )
        else:
            ripe = (
                state != self.reported
                or (self.settled and not self.reported_over)
                or (not self.over and now_s - self.reported_s >= self.rules.refresh_s)
            )
        if not ripe:
            return None
        self.revision += 1
        self.decided = decision
        self.reported, self.reported_s, self.reported_over = state, now_s, self.settled
        return SightingDraft(
            id=self.id,
            camera_id=self.camera_id,
            track_id=self.track_id,
            revision=self.revision,
            decision=decision,
            started_at=self.started_at,
            ended_at=self.ended_at,
            over=self.settled,
            frames=self.frames,
            best=best,
            pack_id=self.pack_id,
            threshold_version=self.thresholds.version,
            latency_ms=self.latency_ms,
        )

    def _decide(self) -> TrackDecision:
        evidence = [
            ShotEvidence(quality=self.records[key].quality.score, candidates=candidates)
            for key, candidates in sorted(self.answers.items())
        ]
        return decide(evidence, self.thresholds)

    def _best(self) -> ShotRecord | None:
        """Return the shot that stands for the sighting, or None as long as there is none."""
        answered = [self.records[key] for key in self.answers]
        if answered:
            return max(answered, key=lambda record: (record.quality.score, -record.key))
        compared = self.records or self.shots.next_key
        return self.stand_in if self.over and not compared else None

    def _forget_replaced(self) -> None:
        """Drop shots that better ones replaced, once these have their answers."""
        kept = {shot.key for shot in self.shots.shots}
        for key in [key for key in self.answers if key not in kept]:
            if len(self.answers) > 1:
                del self.answers[key]
                del self.records[key]
