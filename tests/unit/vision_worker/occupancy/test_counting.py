"""People in zones: what is counted, and that the books always balance."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_worker.occupancy.counting import OccupancyCounter, OccupancyRules, OccupancySample
from vision_worker.occupancy.people import PresenceRules, SeenFace

START = datetime(2026, 1, 1, tzinfo=UTC)
LEFT_HALF = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
FRAME_S = 0.2
RULES = OccupancyRules(every_s=1.0, presence=PresenceRules(linger_s=1.0, most_people=6))
PATIENT = OccupancyRules(every_s=1.0, presence=PresenceRules(linger_s=4.0, most_people=6))


class Watched:
    """A camera whose frames the test makes; its clock is the frames'."""

    def __init__(self, *zones: object, rules: OccupancyRules = RULES) -> None:
        self.counter = OccupancyCounter({"zones": list(zones)}, rules)
        self.samples: list[OccupancySample] = []
        self.frames = 0

    def see(self, faces: dict[int, tuple[float, float]], *, seconds: float = FRAME_S) -> None:
        """Show the faces, by track and centre, for some time."""
        for _ in range(round(seconds / FRAME_S)):
            elapsed = self.frames * FRAME_S
            self.frames += 1
            self.samples += self.counter.see(
                at=START + timedelta(seconds=elapsed),
                media_s=elapsed,
                faces=[
                    SeenFace(track_id=track, centre=centre, height=0.1, score=0.9)
                    for track, centre in faces.items()
                ],
                aspect=16 / 9,
            )

    def of(self, zone: str) -> list[tuple[int, int, int]]:
        """Return occupancy, entries and exits of each sample of a zone."""
        return [(s.occupancy, s.entries, s.exits) for s in self.samples if s.zone == zone]


def test_whoever_is_there_at_the_beginning_has_not_come_in() -> None:
    camera = Watched(LEFT_HALF)
    camera.see({1: (0.2, 0.5), 2: (0.8, 0.5)}, seconds=4)
    assert camera.of("") == [(2, 0, 0)] * 3
    assert camera.of("left") == [(1, 0, 0)] * 3


def test_who_comes_later_has_come_in_and_goes_after_a_moment() -> None:
    camera = Watched()
    camera.see({}, seconds=2)
    camera.see({1: (0.5, 0.5)}, seconds=2)
    camera.see({}, seconds=3)
    assert camera.of("") == [(0, 0, 0), (1, 1, 0), (1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, 0)]


def test_a_face_that_turns_away_and_back_is_one_visit() -> None:
    camera = Watched()
    camera.see({}, seconds=2)
    camera.see({1: (0.5, 0.5)}, seconds=2)
    camera.see({}, seconds=0.6)
    camera.see({2: (0.52, 0.5)}, seconds=1.4)
    assert [entries for _, entries, _ in camera.of("")] == [0, 1, 0, 0, 0]
    assert not any(exits for *_, exits in camera.of(""))


def test_a_face_elsewhere_is_somebody_else() -> None:
    camera = Watched()
    camera.see({}, seconds=2)
    camera.see({1: (0.1, 0.5)}, seconds=1)
    camera.see({2: (0.9, 0.5)}, seconds=1)
    assert sum(entries for _, entries, _ in camera.of("")) == 2


def test_crossing_a_line_counts_once_it_has_settled() -> None:
    camera = Watched(LEFT_HALF)
    camera.see({1: (0.8, 0.5)}, seconds=2)
    for _ in range(10):  # on the line, now here and now there
        camera.see({1: (0.49, 0.5)})
        camera.see({1: (0.51, 0.5)})
    assert camera.of("left") == [(0, 0, 0)] * len(camera.of("left"))
    camera.see({1: (0.2, 0.5)}, seconds=1.4)
    assert camera.of("left")[-1] == (1, 1, 0)
    camera.see({1: (0.8, 0.5)}, seconds=2)
    assert (0, 0, 1) in camera.of("left")
    assert {occupancy for occupancy, *_ in camera.of("")} == {1}


def test_the_confidence_is_the_detectors_and_fades() -> None:
    camera = Watched(rules=PATIENT)
    camera.see({1: (0.5, 0.5)}, seconds=2)
    camera.see({}, seconds=6)
    told = [sample.confidence for sample in camera.samples]
    assert told[:4] == pytest.approx([0.9, 0.9 * (1 - 0.2 / 4), 0.9 * (1 - 1.2 / 4), 0.405])
    assert told[-2:] == [None, None]


def test_after_a_restart_nobody_is_counted_twice() -> None:
    camera = Watched()
    camera.see({1: (0.5, 0.5)}, seconds=2)
    camera.counter.restart()
    camera.see({9: (0.5, 0.5)}, seconds=3)
    assert {(entries, exits) for _, entries, exits in camera.of("")} == {(0, 0)}


def test_a_crowd_beyond_the_bound_pushes_out_whoever_was_unseen_longest() -> None:
    camera = Watched(rules=PATIENT)
    camera.see({}, seconds=2)
    camera.see({track: (track / 10, 0.1) for track in range(5)})
    camera.see({track: (track / 10, 0.9) for track in range(5, 10)}, seconds=1)
    assert camera.of("")[-2:] == [(5, 5, 0), (6, 5, 4)]


def test_zones_that_are_none_are_passed_over_and_of_one_name_counted_once() -> None:
    camera = Watched(LEFT_HALF, {"name": "no"}, LEFT_HALF | {"polygon": [[0, 0], [1, 0], [1, 1]]})
    camera.see({1: (0.2, 0.5)}, seconds=1.2)
    assert [sample.zone for sample in camera.samples] == ["", "left"]


places = st.tuples(st.sampled_from([0.1, 0.3, 0.6, 0.9]), st.sampled_from([0.2, 0.8]))
frames = st.lists(st.dictionaries(st.integers(0, 8), places, max_size=8), min_size=10, max_size=60)


@given(frames)
def test_each_sample_is_the_one_before_with_who_came_and_went(
    seen: list[dict[int, tuple[float, float]]],
) -> None:
    camera = Watched(LEFT_HALF, {"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]})
    for faces in seen:
        camera.see(faces)
    for zone in ("", "left", "all"):
        rows = camera.of(zone)
        for (before, *_), (now, entries, exits) in pairwise(rows):
            assert now == before + entries - exits
    assert camera.of("") == camera.of("all")
