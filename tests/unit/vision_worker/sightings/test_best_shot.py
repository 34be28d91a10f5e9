"""Which views of a track are embedded, and how few."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_engine.values import Verdict
from vision_worker.sightings.best_shot import BestShots, Shot, ShotRules

RULES = ShotRules()
_VERDICTS: tuple[Verdict, ...] = ("poor", "fair", "good")  # the worst first


def feed(views: list[tuple[float, float, Verdict]]) -> tuple[BestShots, list[Shot]]:
    state, taken = BestShots(started_s=0.0), []
    for at_s, quality, verdict in views:
        state, shot = state.offer(at_s=at_s, quality=quality, verdict=verdict, rules=RULES)
        taken += [shot] if shot else []
    return state, taken


def test_the_first_good_view_is_taken_at_once() -> None:
    assert [shot.at_s for shot in feed([(0.0, 0.8, "good")])[1]] == [0.0]


def test_a_fair_view_waits_for_a_better_one_but_not_for_ever() -> None:
    views: list[tuple[float, float, Verdict]] = [(i * 0.2, 0.45, "fair") for i in range(12)]
    assert [shot.at_s for shot in feed(views)[1]] == pytest.approx([0.6, 1.0, 2.0])


def test_one_good_second_after_many_bad_ones_gives_two_shots() -> None:
    bad: list[tuple[float, float, Verdict]] = [(i * 0.2, 0.3, "fair") for i in range(15)]
    good: list[tuple[float, float, Verdict]] = [(3.0 + i * 0.2, 0.8, "good") for i in range(5)]
    _, taken = feed(bad + good)
    assert [shot.at_s for shot in taken if shot.good] == pytest.approx([3.0, 3.4])


def test_a_poor_view_is_never_taken() -> None:
    assert feed([(i * 0.2, 0.9, "poor") for i in range(50)])[1] == []


def stand_ins(qualities: list[float], *, every_s: float = 0.2) -> tuple[BestShots, list[Shot]]:
    state, stood = BestShots(started_s=0.0), []
    for number, quality in enumerate(qualities):
        at_s = number * every_s
        if state.lacks_stand_in(at_s=at_s, frames=number + 1, rules=RULES):
            state, shot = state.offer_stand_in(at_s=at_s, quality=quality)
            stood += [shot] if shot else []
    return state, stood


def test_the_best_of_a_few_poor_views_stands_in_for_a_track() -> None:
    state, stood = stand_ins([0.01] * 8 + [0.03] * 8 + [0.02] * 400)
    assert [(shot.at_s, shot.quality) for shot in stood] == [(1.0, 0.01), (2.0, 0.03)]
    assert state.stand_in == stood[-1]
    assert state.stand_ins == RULES.stand_ins
    assert state.best is None


def test_what_is_seen_for_a_moment_gets_no_stand_in() -> None:
    assert stand_ins([0.01] * 5)[1] == []
    assert stand_ins([0.01] * 3, every_s=1.0)[1] == []


def test_a_shot_leaves_no_need_for_a_stand_in() -> None:
    state, _ = feed([(0.0, 0.7, "good")])
    assert not state.lacks_stand_in(at_s=5.0, frames=25, rules=RULES)


def test_a_steady_face_costs_a_handful_of_embeddings_an_hour() -> None:
    state, taken = feed([(i * 0.2, 0.7, "good") for i in range(5 * 3600)])
    assert len(taken) == RULES.kept == len(state.shots)


def test_a_clear_improvement_replaces_the_worst() -> None:
    state, _ = feed([(float(i), 0.6 + 0.01 * i, "good") for i in range(5)])
    state, shot = state.offer(at_s=9.0, quality=0.7, verdict="good", rules=RULES)
    assert shot is not None
    assert 0.6 not in [one.quality for one in state.shots]
    assert state.best == shot


views = st.lists(
    st.tuples(
        st.floats(0, 60, allow_nan=False),
        st.floats(0, 1, allow_nan=False),
        st.sampled_from(["good", "fair", "poor"]),
    ),
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(views)
def test_bounded_spaced_and_unique(rows: list[tuple[float, float, Verdict]]) -> None:
    state, taken = feed(rows)
    assert len(state.shots) <= RULES.kept
    assert [shot.key for shot in taken] == list(range(len(taken)))
    assert set(state.shots) <= set(taken)
    gaps = [b.at_s - a.at_s for a, b in pairwise(taken)]
    assert all(gap >= RULES.spacing_s for gap in gaps)


@given(views)
def test_a_usable_face_is_taken_within_its_patience(
    rows: list[tuple[float, float, Verdict]],
) -> None:
    _, taken = feed(rows)
    usable = [at_s for at_s, _, verdict in rows if verdict != "poor" and at_s >= RULES.patience_s]
    if usable:
        assert taken
        assert taken[0].at_s <= usable[0]


@given(
    shots=st.lists(
        st.tuples(st.floats(0, 3), st.floats(0, 1), st.sampled_from(_VERDICTS)), max_size=9
    ),
    view=st.tuples(st.floats(3, 6), st.floats(0, 1), st.sampled_from(_VERDICTS)),
    better=st.tuples(st.floats(0, 1), st.sampled_from(_VERDICTS)),
)
def test_a_better_view_is_never_refused_where_a_worse_one_is_taken(
    shots: list[tuple[float, float, Verdict]],
    view: tuple[float, float, Verdict],
    better: tuple[float, Verdict],
) -> None:
    state = BestShots(started_s=0.0)
    for at_s, quality, verdict in sorted(shots):
        state, _ = state.offer(at_s=at_s, quality=quality, verdict=verdict, rules=RULES)
    at_s, quality, verdict = view
    limit = max(quality, better[0]), max(verdict, better[1], key=_VERDICTS.index)
    if state.wanted(at_s=at_s, quality=quality, verdict=verdict, rules=RULES):
        assert state.wanted(at_s=at_s, quality=limit[0], verdict=limit[1], rules=RULES)
