"""Which counts enter the feed: pure."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from control_plane.alerts.model import Condition, Rule
from control_plane.alerts.occupancy import MOST_CHANGES, Level, Limit, changes, watched_by

START = datetime(2026, 1, 1, tzinfo=UTC)
LOW, HIGH = Limit(key="low", over=2), Limit(key="high", over=5)
COUNTS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)), max_size=30)


def test_only_what_crosses_a_limit_is_told() -> None:
    level, entries = changes([LOW, HIGH], Level(), [(1, 2), (2, 3), (3, 4), (4, 6), (5, 1), (6, 0)])
    assert entries == [(2, 3, False), (4, 6, False), (5, 1, False)]
    assert level == Level(over=frozenset(), changed_us=5)


def test_a_count_from_before_the_newest_change_is_late() -> None:
    before = Level(over=frozenset(), changed_us=10)
    level, entries = changes([LOW], before, [(9, 3), (8, 1)])
    assert (level, entries) == (before, [(9, 3, True)])


def test_another_version_of_a_rule_is_told_again() -> None:
    before = Level(over=frozenset({"low"}), changed_us=10)
    level, entries = changes([Limit(key="low again", over=2)], before, [(11, 3)])
    assert entries == [(11, 3, False)]
    assert level.over == {"low again"}


@given(counts=COUNTS, cut=st.integers(0, 40))
def test_counts_in_order_are_told_the_same_in_one_group_or_in_two(
    counts: list[tuple[int, int]], cut: int
) -> None:
    whole = changes([LOW, HIGH], Level(), counts)
    half, first = changes([LOW, HIGH], Level(), [c for c in counts if c[0] < cut])
    level, second = changes([LOW, HIGH], half, [c for c in counts if c[0] >= cut])
    assert (level, first + second) == whole
    if counts:
        _, newest = max(counts)
        assert level.over == {limit.key for limit in (LOW, HIGH) if newest > limit.over}


@given(counts=COUNTS)
def test_no_count_over_a_limit_goes_unnoticed(counts: list[tuple[int, int]]) -> None:
    _, entries = changes([LOW], Level(), counts)
    assert any(people > 2 for _, people in counts) is any(people > 2 for _, people, _ in entries)


def test_very_many_changes_are_told_from_both_ends() -> None:
    flapping = [(number, 3 * (number % 2)) for number in range(1, 1001)]
    level, entries = changes([LOW], Level(), flapping)
    assert len(entries) == MOST_CHANGES
    assert entries[0] == (1, 3, False)
    assert entries[-1] == (1000, 0, False)
    assert level == Level(over=frozenset(), changed_us=1000)


def rule(id_: str, over: int, *camera_ids: str, zone: str = "") -> Rule:
    return Rule(
        id=id_, name="", description="", kind="occupancy_over", severity="info", enabled=True,
        condition=Condition(over=over, camera_ids=camera_ids, zone=zone), cooldown_s=0,
        active_since=START, created_at=START, updated_at=START, version=3,
    )  # fmt: skip


def test_the_limits_of_a_camera_are_those_of_all_and_its_own() -> None:
    watched = watched_by([rule("a", 1), rule("b", 2, "door"), rule("c", 3, "door", zone="hall")])
    everywhere, own = Limit(key="a:3", over=1), Limit(key="b:3", over=2)
    assert watched.limits("gate") == {"": (everywhere,)}
    assert watched.limits("door") == {
        "": (everywhere, own),
        "hall": (Limit(key="c:3", over=3),),
    }
    assert watched_by([]).is_empty
