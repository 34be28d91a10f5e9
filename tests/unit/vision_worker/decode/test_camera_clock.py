"""Clocks of cameras: right, wrong, and late for a while."""

import pytest

from vision_worker.decode.camera_clock import CameraClock


def found_out(speed: float, *, seconds: float = 60.0) -> float | None:
    """Return when a clock of a speed is found out, in seconds."""
    clock = CameraClock(5.0)
    for number in range(round(seconds * 25)):
        if clock.picture(now_s=number / 25, media_s=speed * number / 25):
            return number / 25
    return None


@pytest.mark.parametrize("speed", [0.7, 0.999, 1.0, 1.001, 1.3])
def test_a_clock_that_is_about_right_is_believed(speed: float) -> None:
    assert found_out(speed) is None


@pytest.mark.parametrize("speed", [0.05, 0.25, 4.0, 90.0])
def test_a_clock_of_another_speed_is_found_out(speed: float) -> None:
    assert found_out(speed) == pytest.approx(10, abs=0.2)


def test_it_is_found_out_once() -> None:
    clock = CameraClock(1.0)
    assert sum(clock.picture(now_s=at / 5, media_s=float(at)) for at in range(100)) == 1
    assert not clock.believed


def test_a_network_that_was_late_and_makes_up_for_it_is_no_wrong_clock() -> None:
    clock = CameraClock(5.0)
    for number in range(1000):
        media_s = number / 25
        late_s = 4.5 if 10 <= media_s < 14.5 else 0.0  # all of it comes at once
        assert not clock.picture(now_s=max(media_s, 14.5 if late_s else 0.0), media_s=media_s)


def test_what_came_before_the_beginning_comes_all_at_once() -> None:
    clock = CameraClock(5.0)
    for number in range(1000):
        media_s = number / 25
        assert not clock.picture(now_s=max(0.0, media_s - 3), media_s=media_s)
