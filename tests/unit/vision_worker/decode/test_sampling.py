"""Sampling by time, a time line from bad timestamps, and what may be skipped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_worker.decode.sampling import MediaTimeline, SkipPolicy, TimeSampler


@pytest.mark.parametrize("stream_fps", [5, 12, 24.975, 25, 29.97, 60])
@pytest.mark.parametrize("sample_fps", [0.5, 2.5, 5])
def test_the_rate_is_kept_whatever_the_stream(stream_fps: float, sample_fps: float) -> None:
    sampler = TimeSampler(sample_fps)
    times = np.arange(0, 40, 1 / stream_fps)
    taken = [time for time in times if sampler.wants(float(time))]
    assert len(taken) == pytest.approx(40 * sample_fps, abs=2 + 0.01 * 40 * sample_fps)


def test_a_gap_is_not_made_up_for() -> None:
    sampler = TimeSampler(5)
    assert sampler.wants(0.0)
    assert sampler.wants(60.0)
    assert not sampler.wants(60.1)
    assert sampler.wants(60.2)


stamps = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), max_size=50)


@given(stamps)
def test_the_time_line_always_grows_in_bounded_steps(given_stamps: list[float | None]) -> None:
    timeline = MediaTimeline(0.04)
    times = [timeline.advance(stamp) for stamp in given_stamps]
    steps = np.diff(times)
    assert (steps > 0).all()
    assert (steps <= 10.0 + 1e-6).all()


def test_good_timestamps_are_kept_and_a_second_round_follows_the_first() -> None:
    timeline = MediaTimeline(0.04)
    assert [timeline.advance(s) for s in (7.0, 7.5, 8.0)] == pytest.approx([0, 0.5, 1.0])
    timeline.restart()
    assert [timeline.advance(s) for s in (7.0, 7.5)] == pytest.approx([1.04, 1.54])


def run_policy(policy: SkipPolicy, key_times: list[float]) -> list[str]:
    return [policy.packet(key=True, stamp_s=time) for time in key_times]


def test_key_frames_alone_once_they_are_known_to_be_dense_enough() -> None:
    policy = SkipPolicy(sample_period_s=2.0, frame_s=0.04)
    assert run_policy(policy, [0, 1, 2, 3, 4]) == ["NONREF"] * 4 + ["NONKEY"]
    assert policy.packet(key=False, stamp_s=4.04) == "NONKEY"


def test_a_longer_interval_takes_it_back_at_a_key_frame() -> None:
    policy = SkipPolicy(sample_period_s=2.0, frame_s=0.04)
    run_policy(policy, [0, 1, 2, 3, 4])
    assert policy.packet(key=True, stamp_s=9.0) == "NONREF"


def test_sparse_key_frames_are_never_enough() -> None:
    policy = SkipPolicy(sample_period_s=0.2, frame_s=0.04)
    assert set(run_policy(policy, [float(time) for time in range(20)])) == {"NONREF"}


def test_unreferenced_frames_are_needed_where_the_rest_is_sparse() -> None:
    policy = SkipPolicy(sample_period_s=0.2, frame_s=0.04)
    assert policy.decoded(0.0) == "NONREF"
    assert policy.decoded(0.16) == "NONREF"
    assert policy.decoded(0.48) == "DEFAULT"
    assert policy.packet(key=True, stamp_s=1.0) == "DEFAULT"


def test_a_stream_slower_than_twice_the_rate_is_decoded_whole() -> None:
    assert SkipPolicy(sample_period_s=0.2, frame_s=0.125).mode == "DEFAULT"
    assert SkipPolicy(sample_period_s=0.2, frame_s=None).mode == "DEFAULT"


def test_a_stream_that_is_behind_gets_key_frames_alone_until_one_is_in_time() -> None:
    policy = SkipPolicy(sample_period_s=0.2, frame_s=0.04)
    run_policy(policy, [0, 1, 2])
    assert policy.catch_up(behind=True) == "NONKEY"
    assert policy.packet(key=True, stamp_s=3.0) == "NONKEY"
    assert policy.decoded(3.0) == "NONKEY"
    assert policy.catch_up(behind=False) == "NONKEY"  # up to the next key frame
    assert policy.packet(key=True, stamp_s=4.0) == "NONREF"
    assert policy.decoded(4.0) == "NONREF"
    assert policy.decoded(4.04) == "NONREF"


def test_key_frames_that_are_far_apart_are_not_left_alone() -> None:
    policy = SkipPolicy(sample_period_s=0.2, frame_s=0.04)
    assert policy.catch_up(behind=True) == "NONREF"
    run_policy(policy, [0, 10])
    assert policy.catch_up(behind=True) == "NONREF"


def test_a_guessed_time_is_said_to_be_one() -> None:
    timeline = MediaTimeline(0.04)
    told: list[bool] = []
    for stamp in (5.0, 5.04, None, 5.12, 5.12, 900.0):
        timeline.advance(stamp)
        told.append(timeline.guessed)
    assert told == [False, False, True, False, True, True]
