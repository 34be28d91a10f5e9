"""When a live stream is behind, and when its clock merely differs."""

from hypothesis import given
from hypothesis import strategies as st

from vision_worker.decode.lateness import Lateness


def played(lateness: Lateness, start_s: float, seconds: float, *, speed: float) -> bool:
    """Decode a stream of 25 frames a second at a share of its speed; return whether it is late."""
    late = False
    for frame in range(round(seconds * 25)):
        media_s = start_s + frame / 25
        late = lateness.picture(now_s=start_s + frame / 25 / speed, media_s=media_s)
    return late


def test_a_stream_in_time_is_not_behind() -> None:
    assert not played(Lateness(), 0.0, 30, speed=1.0)


def test_decoding_too_slowly_is_noticed_after_a_second() -> None:
    lateness = Lateness()
    assert not played(lateness, 0.0, 8, speed=0.9)
    assert played(Lateness(), 0.0, 12, speed=0.9)


def test_a_camera_whose_clock_drifts_is_in_time_for_hours() -> None:
    lateness = Lateness()
    for second in range(4 * 3600):
        assert not lateness.picture(now_s=second * 1.0005, media_s=float(second))


def test_it_stays_behind_until_the_delay_is_nearly_gone() -> None:
    lateness = Lateness()
    lateness.picture(now_s=0.0, media_s=0.0)
    assert lateness.picture(now_s=2.5, media_s=1.0)
    assert lateness.picture(now_s=2.6, media_s=2.0)
    assert not lateness.picture(now_s=2.7, media_s=2.5)


def test_a_clock_that_catching_up_does_not_help_is_not_believed() -> None:
    lateness = Lateness()
    half_speed = [lateness.picture(now_s=float(s), media_s=s / 2) for s in range(120)]
    assert any(half_speed[:14])
    assert not any(half_speed[20:])


def test_a_new_time_line_begins_anew() -> None:
    lateness = Lateness()
    lateness.picture(now_s=0.0, media_s=0.0)
    assert lateness.picture(now_s=5.0, media_s=1.0)
    lateness.restart()
    assert not lateness.picture(now_s=6.0, media_s=1.0)


@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=200))
def test_jitter_below_a_second_is_no_lateness(jitter: list[float]) -> None:
    lateness = Lateness()
    for number, late in enumerate(jitter):
        assert not lateness.picture(now_s=number / 25 + late, media_s=number / 25)
