"""When a track's sighting is reported: soon, on change, now and then, and once at its end."""

from datetime import UTC, datetime, timedelta

import numpy as np

from face_engine.packs import Thresholds
from face_engine.values import Quality
from vision_worker.sightings.best_shot import BestShots, ShotRules
from vision_worker.sightings.decision import Candidate
from vision_worker.sightings.sighting import ReportRules, ShotRecord, SightingDraft, TrackSighting

START = datetime(2026, 1, 1, tzinfo=UTC)
ANN = (Candidate(person_id="ann", face_id="a1", score=0.8),)
NOBODY = (Candidate(person_id="ann", face_id="a1", score=0.1),)
NEAR = (Candidate(person_id="ann", face_id="a1", score=0.45),)


def quality(score: float) -> Quality:
    return Quality(
        score=score,
        width_px=90,
        blur=1,
        yaw=0,
        pitch=0,
        brightness=0.5,
        occlusion=0,
        verdict="good",
        reasons=(),
    )


class Track:
    """A track that is fed by hand."""

    def __init__(self) -> None:
        self.sighting = TrackSighting(
            camera_id="cam",
            track_id=7,
            pack_id="builtin",
            thresholds=Thresholds(version="t", match=0.55, review=0.4, margin=0.05),
            rules=ReportRules(),
            started_at=START,
            started_s=0.0,
            ended_at=START,
            seen_s=0.0,
            shots=BestShots(started_s=0.0),
        )

    def see(self, at_s: float, score: float = 0.7, *, confirmed: bool = True) -> int | None:
        """Show the face; return the key of the shot if one was taken."""
        at = START + timedelta(seconds=at_s)
        self.sighting.seen(at=at, media_s=at_s, confirmed=confirmed)
        self.sighting.shots, shot = self.sighting.shots.offer(
            at_s=at_s, quality=score, verdict="good", rules=ShotRules()
        )
        if shot is None:
            return None
        self.sighting.ask(
            ShotRecord(
                key=shot.key,
                quality=quality(score),
                box=(0.1, 0.1, 0.2, 0.2),
                embedding=np.full(4, 0.5, np.float32),
                crop=b"jpeg",
                context=b"all of it",
                captured_at=at,
            )
        )
        return shot.key

    def answer(self, key: int, candidates: tuple[Candidate, ...], at_s: float) -> None:
        self.sighting.answered(key, candidates, now=START + timedelta(seconds=at_s))

    def due(self, at_s: float) -> SightingDraft | None:
        return self.sighting.due(at_s)


def test_a_match_is_reported_at_once_and_once() -> None:
    track = Track()
    for key, at_s in enumerate((0.2, 0.6)):
        assert track.see(at_s) == key
        track.answer(key, ANN, at_s + 0.05)
    draft = track.due(0.6)
    assert draft is not None
    assert (draft.decision.decision, draft.decision.person_id, draft.revision) == (
        "match",
        "ann",
        1,
    )
    assert 40 < draft.latency_ms < 60
    assert track.due(0.8) is None


def test_no_answer_no_report_however_long_it_takes() -> None:
    track = Track()
    for step in range(100):
        track.see(step / 5)
    assert track.due(20.0) is None


def test_a_stranger_waits_for_three_shots_or_the_third_second() -> None:
    track = Track()
    track.answer(track.see(0.0) or 0, NOBODY, 0.1)
    assert track.due(1.0) is None
    draft = track.due(2.4)
    assert draft is not None
    assert draft.decision.decision == "unknown"


def test_a_change_is_reported_and_calm_is_refreshed_now_and_then() -> None:
    track = Track()
    for key, at_s in enumerate((0.0, 0.5, 1.6)):
        assert track.see(at_s) == key
        track.answer(key, NEAR, at_s)
    first = track.due(1.6)
    assert first is not None
    assert first.decision.decision == "review"
    for key, at_s in ((3, 2.7), (4, 3.8)):
        assert track.see(at_s) == key
        track.answer(key, ANN, at_s)
    changed = track.due(3.8)
    assert changed is not None
    assert (changed.decision.decision, changed.revision, changed.id) == ("match", 2, first.id)
    assert track.due(8.0) is None
    refreshed = track.due(9.0)
    assert refreshed is not None
    assert refreshed.revision == 3


def test_the_end_is_reported_once_and_after_the_last_answer() -> None:
    track = Track()
    track.answer(track.see(0.0) or 0, ANN, 0.1)
    late = track.see(0.5)
    assert late is not None
    track.sighting.over = True
    assert track.due(0.6) is None
    track.answer(late, ANN, 0.9)
    last = track.due(0.6)
    assert last is not None
    assert last.over
    assert (last.decision.decision, last.frames) == ("match", 2)
    assert last.ended_at == START + timedelta(seconds=0.5)
    assert track.due(100.0) is None


def test_a_shot_that_is_given_up_does_not_hold_the_end() -> None:
    track = Track()
    track.answer(track.see(0.0) or 0, ANN, 0.1)
    late = track.see(0.5)
    assert late is not None
    track.sighting.over = True
    track.sighting.lost(late)
    last = track.due(0.6)
    assert last is not None
    assert last.over


def poor_shot() -> ShotRecord:
    return ShotRecord(
        key=0,
        quality=quality(0.05),
        box=(0.1, 0.1, 0.2, 0.2),
        embedding=np.full(4, 0.5, np.float32),
        crop=b"poor",
        context=b"all of it",
        captured_at=START,
    )


def test_a_track_with_poor_shots_alone_is_somebody_unknown_at_its_end() -> None:
    track = Track()
    track.sighting.seen(at=START, media_s=0.0, confirmed=True)
    track.sighting.stand_in_with(poor_shot())
    assert track.due(60.0) is None
    track.sighting.over = True
    last = track.due(60.0)
    assert last is not None
    assert last.over
    assert (last.decision.decision, last.decision.score) == ("unknown", None)
    assert (last.decision.votes, last.decision.candidates, last.best.crop) == (0, (), b"poor")
    assert track.due(61.0) is None


def test_a_poor_shot_does_not_stand_in_for_a_shot_that_was_lost() -> None:
    track = Track()
    track.sighting.stand_in_with(poor_shot())
    key = track.see(0.0)
    assert key is not None
    track.sighting.over = True
    assert track.due(1.0) is None
    track.sighting.lost(key)
    assert track.due(2.0) is None


def test_an_unconfirmed_face_is_never_reported() -> None:
    track = Track()
    key = track.see(0.0, confirmed=False)
    assert key is not None
    track.answer(key, ANN, 0.1)
    track.sighting.over = True
    assert track.due(9.0) is None


def test_memory_stays_bounded_by_the_kept_shots() -> None:
    track = Track()
    for step in range(300):
        key = track.see(float(step), 0.3 + step / 1000)
        if key is not None:
            track.answer(key, NOBODY, float(step))
    assert len(track.sighting.records) == len(track.sighting.answers) == ShotRules().kept
    best = track.due(400.0)
    assert best is not None
    assert best.best.quality.score == max(r.quality.score for r in track.sighting.records.values())
