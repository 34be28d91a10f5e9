"""Tracks: what holds for every sequence of detections, and what real motion must give."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vision_worker.tracking.tracker import FaceTracker, TrackingRules

Frame = tuple[float, list[tuple[float, float, float, float]]]

detections = st.lists(
    st.tuples(
        st.floats(-50, 700, allow_nan=False),
        st.floats(-50, 400, allow_nan=False),
        st.floats(0, 300, allow_nan=False),
        st.floats(0, 1, allow_nan=False),
    ),
    max_size=8,
)
sequences = st.lists(st.tuples(st.floats(-0.2, 2.0, allow_nan=False), detections), max_size=25)


def boxes_of(rows: list[tuple[float, float, float, float]]) -> NDArray[np.float32]:
    return np.array([(x, y, x + s, y + s * 1.3) for x, y, s, _ in rows], np.float32).reshape(-1, 4)


@settings(max_examples=60)
@given(sequences)
def test_ids_are_never_reused_and_a_detection_has_one_track(
    sequence: list[tuple[float, list[tuple[float, float, float, float]]]],
) -> None:
    rules = TrackingRules(most_tracks=10)
    tracker = FaceTracker(rules)
    gone: set[int] = set()
    confirmed: set[int] = set()
    time = 0.0
    for step, rows in sequence:
        time += step
        scores = np.array([score for *_, score in rows], np.float32)
        update = tracker.update(time, boxes_of(rows), scores)
        ids = [face.track_id for face in update.faces]
        used = [face.detection for face in update.faces]
        assert len(set(ids)) == len(ids)
        assert len(set(used)) == len(used)
        assert all(0 <= detection < len(rows) for detection in used)
        assert not gone & set(ids)
        gone |= {*update.ended, *update.dropped}
        confirmed |= {face.track_id for face in update.faces if face.state == "confirmed"}
        assert set(update.ended) <= confirmed
        assert len(tracker) <= rules.most_tracks
    final = tracker.end_all()
    assert not gone & {*final.ended, *final.dropped}
    assert confirmed == (gone | {*final.ended}) & confirmed
    assert len(tracker) == 0


def confirmed_paths(frames: list[Frame]) -> dict[int, list[tuple[float, int]]]:
    tracker = FaceTracker()
    paths: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for time, boxes in frames:
        update = tracker.update(time, np.array(boxes).reshape(-1, 4), np.full(len(boxes), 0.9))
        for face in update.faces:
            if face.state == "confirmed":
                paths[face.track_id].append((time, face.detection))
    return paths


@pytest.mark.parametrize("fps", [2.5, 5.0, 25.0])
def test_a_walking_face_is_one_track_at_any_rate(fps: float) -> None:
    times = np.arange(0, 4, 1 / fps)
    frames = [(float(t), [(100 + 90 * t, 80.0, 160 + 90 * t, 160.0)]) for t in times]
    assert len(confirmed_paths(frames)) == 1


def test_two_faces_that_pass_each_other_keep_their_tracks() -> None:
    frames: list[Frame] = []
    for t in np.arange(0, 4, 0.2):
        left = (100 + 100 * t, 80.0, 160 + 100 * t, 160.0)
        right = (500 - 100 * t, 100.0, 560 - 100 * t, 180.0)
        frames.append((float(t), [left, right]))
    paths = confirmed_paths(frames)
    assert len(paths) == 2
    assert all(len({detection for _, detection in path}) == 1 for path in paths.values())


def test_a_face_hidden_for_a_moment_comes_back_as_the_same_track() -> None:
    frames: list[Frame] = [
        (t / 5, [] if 10 <= t < 14 else [(100.0 + 4 * t, 80.0, 160.0 + 4 * t, 160.0)])
        for t in range(30)
    ]
    assert len(confirmed_paths(frames)) == 1


def test_a_face_gone_for_long_is_a_new_track() -> None:
    frames: list[Frame] = [
        (t / 5, [] if 10 <= t < 20 else [(100.0, 80.0, 160.0, 160.0)]) for t in range(30)
    ]
    assert len(confirmed_paths(frames)) == 2


def test_one_flash_of_a_face_confirms_nothing_and_an_unsure_one_begins_nothing() -> None:
    tracker = FaceTracker()
    box = np.array([[100.0, 80.0, 160.0, 160.0]])
    assert [f.state for f in tracker.update(0.0, box, np.array([0.9])).faces] == ["tentative"]
    assert tracker.update(1.0, box[:0], np.zeros(0)).dropped == (1,)
    for step in range(5):
        assert tracker.update(2.0 + step / 5, box, np.array([0.4])).faces == ()


def test_an_unsure_detection_carries_a_confirmed_track_on() -> None:
    tracker = FaceTracker()
    box = np.array([[100.0, 80.0, 160.0, 160.0]])
    for step in range(20):
        score = 0.9 if step < 3 else 0.4
        update = tracker.update(step / 5, box, np.array([score]))
        assert [face.track_id for face in update.faces] == [1]


@pytest.mark.parametrize("step_s", [0.2, 0.5, 1.0])
def test_a_walking_face_is_one_track_however_few_frames_there_are(step_s: float) -> None:
    tracker = FaceTracker()
    ids: set[int] = set()
    for number in range(round(5 / step_s)):
        x = 100.0 + 190.0 * number * step_s  # two and a half faces a second
        box = np.array([[x, 200.0, x + 70.0, 290.0]])
        ids |= {face.track_id for face in tracker.update(number * step_s, box, np.ones(1)).faces}
    assert len(ids) == 1


def test_a_missed_frame_ends_no_track_where_frames_are_few() -> None:
    tracker = FaceTracker()
    box = np.array([[100.0, 200.0, 170.0, 290.0]])
    for number in range(3):
        tracker.update(1.5 * number, box, np.ones(1))
    assert tracker.update(4.5, box[:0], np.zeros(0)).ended == ()
    (face,) = tracker.update(6.0, box, np.ones(1)).faces
    assert face.track_id == 1
