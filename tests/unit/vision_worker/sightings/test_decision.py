"""The decision over a track: total, monotone, and no name without score, margin and agreement."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_engine.packs import Thresholds
from vision_worker.sightings.decision import Candidate, DecisionRules, ShotEvidence, decide

THRESHOLDS = Thresholds(version="test-1", match=0.55, review=0.4, margin=0.05)
RULES = DecisionRules()

people = st.sampled_from(["ann", "bob", "cyd"])
scores = st.floats(-1, 1, allow_nan=False)
candidates = st.builds(Candidate, person_id=people, face_id=st.just("f"), score=scores)
shots = st.lists(
    st.builds(
        ShotEvidence,
        quality=st.floats(0, 1, allow_nan=False),
        candidates=st.lists(candidates, max_size=5).map(tuple),
    ),
    max_size=6,
)


def shot(quality: float = 0.5, **people_scores: float) -> ShotEvidence:
    return ShotEvidence(
        quality=quality,
        candidates=tuple(
            Candidate(person_id=person, face_id=f"{person}-1", score=score)
            for person, score in people_scores.items()
        ),
    )


@pytest.mark.parametrize(
    ("given_shots", "decision", "person"),
    [
        ([], "unknown", None),
        ([shot()], "unknown", None),
        ([shot(ann=0.7), shot(ann=0.6)], "match", "ann"),
        ([shot(ann=0.55), shot(ann=0.55)], "match", "ann"),
        ([shot(ann=0.7)], "review", "ann"),
        ([shot(0.9, ann=0.7)], "match", "ann"),
        ([shot(0.9, ann=0.7, bob=0.66)], "review", "ann"),
        ([shot(ann=0.7, bob=0.6), shot(ann=0.7, bob=0.6)], "match", "ann"),
        ([shot(ann=0.7, bob=0.66), shot(ann=0.7, bob=0.66)], "review", "ann"),
        ([shot(0.9, ann=0.7), shot(0.9, bob=0.7)], "review", "ann"),
        ([shot(ann=0.7), shot(ann=0.1), shot(ann=0.1)], "review", "ann"),
        ([shot(ann=0.45), shot(ann=0.45)], "review", "ann"),
        ([shot(ann=0.45), shot(ann=0.2), shot(ann=0.2)], "unknown", None),
        ([shot(ann=0.45)], "review", "ann"),
        ([shot(0.99, ann=0.39), shot(0.99, ann=0.39)], "unknown", None),
    ],
)
def test_decides(given_shots: list[ShotEvidence], decision: str, person: str | None) -> None:
    result = decide(given_shots, THRESHOLDS)
    assert (result.decision, result.person_id) == (decision, person)
    assert result.threshold == THRESHOLDS.match


def test_a_single_candidate_has_no_margin_and_two_have() -> None:
    assert decide([shot(0.9, ann=0.7)], THRESHOLDS).margin is None
    margin = decide([shot(0.9, ann=0.7, bob=0.5)], THRESHOLDS).margin
    assert margin == pytest.approx(0.2)


def test_references_of_one_person_are_no_runner_up() -> None:
    one = ShotEvidence(
        quality=0.9,
        candidates=tuple(
            Candidate(person_id="ann", face_id=face, score=score)
            for face, score in (("a", 0.70), ("b", 0.69))
        ),
    )
    result = decide([one], THRESHOLDS)
    assert (result.person_id, result.candidates[0].face_id) == ("ann", "a")
    assert len(result.candidates) == 1


@given(shots)
def test_every_track_is_match_review_or_unknown(given_shots: list[ShotEvidence]) -> None:
    result = decide(given_shots, THRESHOLDS)
    assert (result.decision == "unknown") == (result.person_id is None)
    if result.decision == "match":
        assert result.score is not None
        assert result.score >= THRESHOLDS.match
        assert result.margin is None or result.margin >= THRESHOLDS.margin
        assert result.votes >= RULES.votes or max(s.quality for s in given_shots) >= 0.85
    if result.decision == "unknown":
        assert result.score is None or result.score < THRESHOLDS.match
    assert 0 <= result.votes <= len(given_shots)
    assert list(result.candidates) == sorted(result.candidates, key=lambda c: -c.score)


@given(shots, st.floats(0, 0.5))
def test_a_stranger_is_never_a_match(given_shots: list[ShotEvidence], over: float) -> None:
    capped = [
        replace(
            s,
            candidates=tuple(
                replace(c, score=min(c.score, THRESHOLDS.match - 1e-9 - over)) for c in s.candidates
            ),
        )
        for s in given_shots
    ]
    result = decide(capped, THRESHOLDS)
    assert result.decision != "match"
    if over > THRESHOLDS.match - THRESHOLDS.review:
        assert result.decision == "unknown"


@given(shots, people, st.floats(0, 1))
def test_a_closer_face_never_takes_the_name_away(
    given_shots: list[ShotEvidence], person: str, gain: float
) -> None:
    before = decide(given_shots, THRESHOLDS)
    raised = [
        replace(
            s,
            candidates=tuple(
                replace(c, score=c.score + gain) if c.person_id == person else c
                for c in s.candidates
            ),
        )
        for s in given_shots
    ]
    after = decide(raised, THRESHOLDS)
    if before.decision == "match" and before.person_id == person:
        assert (after.decision, after.person_id) == ("match", person)
    if before.decision != "unknown":
        assert after.decision != "unknown"


@given(shots)
def test_the_order_of_candidates_and_shots_does_not_matter(
    given_shots: list[ShotEvidence],
) -> None:
    shuffled = [replace(s, candidates=s.candidates[::-1]) for s in given_shots[::-1]]
    first, second = decide(given_shots, THRESHOLDS), decide(shuffled, THRESHOLDS)
    assert (first.decision, first.person_id, first.score, first.votes) == (
        second.decision,
        second.person_id,
        second.score,
        second.votes,
    )
