"""Who is it: the decision over one track, from what the index answered for its shots.

Pure. A name needs three things at once: a score over the pack's threshold, a margin to the
runner-up, and agreement of two shots (one, if that shot is excellent). A score that suffices in any
shot, or comes close in as many shots as agreement needs, is left to a person's eyes as review;
everything else is unknown. So the three cover all there is, and the nearest person is never a match
just for being nearest. `pipeline.py` calls it after every answer; the evidence travels with the
sighting.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from face_engine.packs import Thresholds

Decision = Literal["match", "review", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A person whom the index holds for close, by the best of their references.

    Attributes:
        score: similarity in the pack's own scale, higher is closer.
    """

    person_id: str
    face_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotEvidence:
    """What is known of one shot of a track.

    Attributes:
        quality: 0 to 1, of the shot.
        candidates: the index's answer, in any order; a person may appear more than once.
    """

    quality: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """What the pack's thresholds do not say.

    Attributes:
        votes: shots that must agree on a person.
        excellent_quality: one shot of this quality is enough for agreement.
        kept_candidates: people that the evidence lists.
    """

    votes: int = 2
    excellent_quality: float = 0.85
    kept_candidates: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackDecision:
    """The decision over a track.

    Attributes:
        person_id: the person of a match, the closest one of a review, None of an unknown.
        score: of the shot that speaks loudest for the decision; None where nobody is enrolled.
        threshold: the score that a match needs.
        margin: distance to the runner-up in that shot; None where it has one candidate.
        votes: shots that agree with the decision.
        candidates: best score a person over all shots, the closest first.
    """

    decision: Decision
    person_id: str | None
    score: float | None
    threshold: float
    margin: float | None
    votes: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class _Leader:
    """The closest person of one shot and the distance to the second."""

    candidate: Candidate
    margin: float | None
    quality: float

    def beats_runner_up(self, required: float) -> bool:
        return self.margin is None or self.margin >= required


def decide(
    shots: Sequence[ShotEvidence],
    thresholds: Thresholds,
    rules: DecisionRules = DecisionRules(),
) -> TrackDecision:
    """Return the decision over a track's shots; without a shot it is unknown."""
    leaders = [leader for shot in shots if (leader := _leader_of(shot)) is not None]
    voters = [
        leader
        for leader in leaders
        if leader.candidate.score >= thresholds.match and leader.beats_runner_up(thresholds.margin)
    ]
    near = [leader for leader in leaders if leader.candidate.score >= thresholds.review]
    kept = _best_by_person(c for shot in shots for c in shot.candidates)[: rules.kept_candidates]

    named = _agreed_person(voters, rules)
    if named is not None:
        decision: Decision = "match"
        speaking = [leader for leader in voters if leader.candidate.person_id == named]
    elif any(leader.candidate.score >= thresholds.match for leader in leaders) or (
        near and len(near) >= min(rules.votes, len(shots))
    ):
        decision = "review"
        speaking = near
    else:
        decision = "unknown"
        speaking = leaders
    loudest = min(
        speaking, key=lambda one: (-one.candidate.score, one.candidate.person_id), default=None
    )
    return TrackDecision(
        decision=decision,
        person_id=loudest.candidate.person_id if loudest and decision != "unknown" else None,
        score=loudest.candidate.score if loudest else None,
        threshold=thresholds.match,
        margin=loudest.margin if loudest else None,
        votes=len(shots) - len(near) if decision == "unknown" else len(speaking),
        candidates=tuple(kept),
    )


def _best_by_person(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return each person's best candidate, the closest first; ids break ties."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        known = best.get(candidate.person_id)
        if known is None or candidate.score > known.score:
            best[candidate.person_id] = candidate
    return sorted(best.values(), key=lambda c: (-c.score, c.person_id))


def _leader_of(shot: ShotEvidence) -> _Leader | None:
    people = _best_by_person(shot.candidates)
    if not people:
        return None
    margin = people[0].score - people[1].score if len(people) > 1 else None
    return _Leader(people[0], margin, shot.quality)


def _agreed_person(voters: Sequence[_Leader], rules: DecisionRules) -> str | None:
    """Return the one person that enough shots agree on, or None where two people are voted for."""
    people = {voter.candidate.person_id for voter in voters}
    if len(people) != 1:
        return None  # shots that contradict each other are for a person to judge
    excellent = any(voter.quality >= rules.excellent_quality for voter in voters)
    if len(voters) >= rules.votes or excellent:
        return people.pop()
    return None
