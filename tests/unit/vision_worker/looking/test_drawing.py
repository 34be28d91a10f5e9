"""What is drawn into a picture, and where; read back from the JPEG."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.vision_worker.looking.scenes import GREY, frame, pixels
from vision_worker.looking.drawing import MAX_BYTES, label_of, render
from vision_worker.looking.onlookers import form_of
from vision_worker.looking.scene import Form, Scene, ShownFace, Zone, zones_of
from vision_worker.sightings.decision import Decision

LIVE = Form(longest_side=640, annotated=True)
FACE = ShownFace(
    box=(0.25, 0.25, 0.25, 0.5), quality=0.5, decision="match", name="Ada Lovelace", score=0.7
)


@pytest.mark.parametrize(
    ("size", "longest_side", "made"),
    [
        ((640, 360), 320, (320, 180)),
        ((640, 360), 1920, (640, 360)),  # never larger than it was
        ((360, 640), 320, (180, 320)),
        ((641, 4), 320, (320, 2)),
    ],
)
def test_a_picture_keeps_its_proportions_within_the_side(
    size: tuple[int, int], longest_side: int, made: tuple[int, int]
) -> None:
    picture = render(
        Scene(frame=frame(size=size)), Form(longest_side=longest_side, annotated=False)
    )
    assert (picture.width, picture.height) == made
    assert pixels(picture).shape[1::-1] == made


def test_nothing_is_drawn_into_a_plain_picture_nor_ever_into_the_frame() -> None:
    scene = Scene(frame=frame(), faces=(FACE,), zones=(Zone(name="Door", polygon=TRIANGLE),))
    plain = pixels(render(scene, Form(longest_side=640, annotated=False)))
    assert np.abs(plain.astype(int) - GREY).max() <= 2
    assert (pixels(render(scene, LIVE)) != GREY).any()
    assert (scene.frame.picture.scaled(640) == GREY).all()


@pytest.mark.parametrize(
    ("decision", "strongest"), [("match", 1), ("review", 0), ("unknown", 2), (None, None)]
)
def test_the_colour_of_a_box_says_what_was_decided(
    decision: Decision | None, strongest: int | None
) -> None:
    drawn = pixels(render(Scene(frame=frame(), faces=(replace(FACE, decision=decision),)), LIVE))
    side = drawn[180, 160].astype(int)  # on the left side of the box
    if strongest is None:
        assert side.max() - side.min() < 30
    else:
        assert side.argmax() == strongest
        assert side.max() - side.min() > 80


@pytest.mark.parametrize(
    ("face", "words"),
    [
        (FACE, "Ada Lovelace  0.70"),
        (replace(FACE, name=""), "known person  0.70"),
        (replace(FACE, decision="review"), "Ada Lovelace?  0.70"),
        (replace(FACE, decision="unknown", name=""), "unknown"),
        (replace(FACE, decision=None, score=None), ""),
    ],
)
def test_words_say_it_too(face: ShownFace, words: str) -> None:
    assert label_of(face) == words


def test_the_bar_below_a_box_is_as_full_as_the_view_is_good() -> None:
    widths = []
    for quality in (0.0, 0.5, 1.0, 7.0):
        faces = (replace(FACE, decision="match", quality=quality),)
        drawn = pixels(render(Scene(frame=frame(), faces=faces), LIVE)).astype(int)
        bar = drawn[270 + 5, 160:321]  # below the box, which ends at 270
        widths.append(int((bar[:, 1] - bar[:, 0] > 40).sum()))
    assert widths[0] <= 3
    assert 70 <= widths[1] <= 90
    assert min(widths[2:]) >= 155


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0.99, 0.99, 0.01, 0.01), (0, 0, 0, 0), (0.5, 0.0, 0.5, 0.001)]
)
@pytest.mark.parametrize("name", ["", "李 🙂 \x00\n Иван", "x" * 500])
def test_nothing_that_can_be_seen_or_named_is_too_much(
    box: tuple[float, float, float, float], name: str
) -> None:
    faces = (replace(FACE, box=box, name=name),)
    for size in ((640, 360), (40, 600), (2, 2)):
        assert render(Scene(frame=frame(size=size), faces=faces), LIVE).jpeg


TRIANGLE = ((0.1, 0.6), (0.4, 0.6), (0.25, 0.95))


def test_zones_are_tinted() -> None:
    drawn = pixels(render(Scene(frame=frame(), zones=(Zone(name="", polygon=TRIANGLE),)), LIVE))
    inside, outside = drawn[250, 160].astype(int), drawn[100, 500].astype(int)
    assert inside[2] > inside[0] + 10
    assert outside.max() - outside.min() <= 2


def test_zones_stay_within_the_picture_wherever_somebody_drew_them() -> None:
    config = {"zones": [{"name": "Yard", "polygon": [[-3, 0.5], [9, 0.5], [0.5, 99]]}, "nonsense"]}
    (zone,) = zones_of(config)
    assert zone.polygon == ((0.0, 0.5), (1.0, 0.5), (0.5, 1.0))
    assert render(Scene(frame=frame(), zones=(zone,)), LIVE).jpeg
    assert zones_of({}) == zones_of({"zones": 7}) == ()


def test_a_picture_that_is_no_longer_live_is_dark_and_says_so() -> None:
    scene = Scene(frame=frame(), notice="No picture since 12:00:00 UTC: unreachable")
    picture = render(scene, Form(longest_side=640, annotated=False))
    assert not picture.live
    drawn = pixels(picture)
    assert drawn[20, 20].max() < GREY * 0.6
    assert drawn[160:200].max() > 200  # the words, in white


def test_a_picture_always_fits_into_a_message() -> None:
    noisy = frame(size=(3840, 2160), noisy=True)
    picture = render(Scene(frame=noisy), Form(longest_side=3840, annotated=False))
    assert len(picture.jpeg) <= MAX_BYTES


@pytest.mark.parametrize(
    ("asked", "given"), [(0, 960), (1, 320), (320, 320), (321, 640), (3000, 3840)]
)
def test_sides_are_rounded_so_that_viewers_share_pictures(asked: int, given: int) -> None:
    assert form_of(asked, default=960, annotated=True).longest_side == given
