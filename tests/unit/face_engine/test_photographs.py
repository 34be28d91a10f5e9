"""Real photographs of real people: the same person matches, others stay far below review."""

from itertools import combinations

import pytest

from face_engine.engine import FaceEngine
from face_engine.pictures import decode_picture
from face_engine.values import AnalyzedFace
from tests.support.astronaut import astronaut
from tests.support.media import media_path

pytestmark = pytest.mark.media

PORTRAITS = {
    "obama": ("obama_1.jpg", "obama_2.jpg", "obama_3.jpg", "obama_partial.jpg"),
    "biden": ("biden_1.jpg", "biden_2.jpg"),
}
STRANGER_AT_MOST = 0.35
SAME_AT_LEAST = 0.7


@pytest.fixture(scope="module", params=["builtin_engine", "yunet_engine"])
def engine(request: pytest.FixtureRequest) -> FaceEngine:
    loaded = request.getfixturevalue(str(request.param))
    assert isinstance(loaded, FaceEngine)
    return loaded


def faces(engine: FaceEngine, name: str) -> list[AnalyzedFace]:
    return engine.analyze(decode_picture(media_path(f"data/{name}").read_bytes()))


def reasons(face: AnalyzedFace) -> tuple[str, ...]:
    return face.quality.reasons


@pytest.fixture(scope="module")
def people(engine: FaceEngine) -> dict[str, list[AnalyzedFace]]:
    known = {
        person: [face for name in names for face in faces(engine, name)]
        for person, names in PORTRAITS.items()
    }
    return known | {"astronaut": engine.analyze(astronaut())}


def score(engine: FaceEngine, one: AnalyzedFace, two: AnalyzedFace) -> float:
    return float(engine.pack.score(one.embedding[None], two.embedding[None]).item())


def test_every_portrait_holds_one_face(people: dict[str, list[AnalyzedFace]]) -> None:
    assert {person: len(found) for person, found in people.items()} == {
        "obama": 4,
        "biden": 2,
        "astronaut": 1,
    }
    whole = [face for found in people.values() for face in found if "cut_off" not in reasons(face)]
    assert {(face.quality.verdict, reasons(face)) for face in whole} == {("good", ())}
    assert len(whole) == 6


def test_the_face_at_the_rim_is_said_to_be_cut_off(people: dict[str, list[AnalyzedFace]]) -> None:
    partial = people["obama"][-1]
    assert (partial.quality.verdict, reasons(partial)) == ("fair", ("cut_off",))


def test_the_same_person_matches(engine: FaceEngine, people: dict[str, list[AnalyzedFace]]) -> None:
    for found in people.values():
        for one, two in combinations(found, 2):
            assert score(engine, one, two) > SAME_AT_LEAST > engine.pack.thresholds.match


def test_others_stay_below_review(
    engine: FaceEngine, people: dict[str, list[AnalyzedFace]]
) -> None:
    for one_name, two_name in combinations(people, 2):
        for one in people[one_name]:
            for two in people[two_name]:
                assert score(engine, one, two) < STRANGER_AT_MOST < engine.pack.thresholds.review


@pytest.mark.parametrize("name", ["obama_and_biden.jpg", "two_people.jpg"])
def test_two_people_in_one_photograph_are_told_apart(
    engine: FaceEngine, people: dict[str, list[AnalyzedFace]], name: str
) -> None:
    names: list[str] = []
    for face in faces(engine, name):
        best = {
            person: max(score(engine, face, known) for known in found)
            for person, found in people.items()
        }
        first, second = sorted(best, key=lambda person: -best[person])[:2]
        if best[first] >= engine.pack.thresholds.match:
            assert best[first] - best[second] > engine.pack.thresholds.margin
            names.append(first)
        else:
            assert best[first] < engine.pack.thresholds.review
    assert sorted(names) == ["biden", "obama"]


def test_points_lie_within_their_boxes(
    people: dict[str, list[AnalyzedFace]],
) -> None:
    for found in people.values():
        for face in found:
            assert (face.points >= face.box[:2]).all()
            assert (face.points <= face.box[2:]).all()
