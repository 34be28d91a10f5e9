"""People who are seen badly first and well once are named, strangers never; bench has them all."""

import pytest

from face_engine.engine import FaceEngine
from tests.support.looks.portraits import Portrait, read_portraits
from tests.support.looks.scenes import Story
from tests.support.looks.watching import labelled_clips, never_seen_well, strangers, try_clip
from tests.support.media import media_path

pytestmark = pytest.mark.media

OTHER_SEED = 7_000  # not those of the benchmark


@pytest.fixture(scope="module")
def portraits(yunet_engine: FaceEngine) -> list[Portrait]:
    return read_portraits(yunet_engine, media_path("data/obama_1.jpg").parent)


@pytest.mark.parametrize(
    ("story", "photo"),
    [("blurred", "obama_2.jpg"), ("passing", "obama_3.jpg")],
)
async def test_one_good_look_names_the_person(
    yunet_engine: FaceEngine, portraits: list[Portrait], story: Story, photo: str
) -> None:
    clips = labelled_clips(portraits, seed=OTHER_SEED)
    (clip,) = (c for c in clips if (c.story, c.portrait.photo) == (story, photo))
    outcome = await try_clip(yunet_engine, clip)
    assert outcome.named == {clip.expected}
    assert outcome.first_report_s <= 3.0


@pytest.mark.parametrize(("story", "photo"), [("turned", "biden_2.jpg")])
async def test_a_stranger_is_seen_and_not_named(
    yunet_engine: FaceEngine, portraits: list[Portrait], story: Story, photo: str
) -> None:
    clips = strangers(portraits, seed=OTHER_SEED)
    (clip,) = (c for c in clips if (c.story, c.portrait.photo) == (story, photo))
    assert sorted(clip.gallery) == sorted({"obama", "biden", "astronaut"} - {clip.portrait.person})
    outcome = await try_clip(yunet_engine, clip)
    assert outcome.sightings
    assert outcome.named == set()


async def test_who_never_shows_a_face_is_somebody_unknown(
    yunet_engine: FaceEngine, portraits: list[Portrait]
) -> None:
    clips = never_seen_well(portraits, seed=OTHER_SEED)
    (clip,) = (c for c in clips if (c.story, c.portrait.photo) == ("dim", "biden_2.jpg"))
    (sighting,) = (await try_clip(yunet_engine, clip)).sightings
    decision = sighting.decision
    assert (decision.decision, decision.score, decision.candidates) == ("unknown", None, ())
    assert sighting.over
    assert sighting.best.quality.verdict == "poor"
    assert sighting.best.crop
    assert sighting.best.context
