"""The gallery against brute force: every answer exact, whatever was put and discarded before."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from identity_index.faiss_gallery import FlatGallery, GalleryFace, Match, tune_this_thread
from tests.unit.identity_index.vectors import faces_of, unit_vectors

DIMENSION = 8
BLAS_SWITCH = 6


@pytest.fixture(autouse=True)
def _tuned() -> Iterator[None]:
    tune_this_thread(threads=1, dimension=DIMENSION)
    yield
    tune_this_thread(threads=1, dimension=128)


def assert_exact(
    found: list[list[Match]],
    probes: NDArray[np.float32],
    k: int,
    faces: dict[str, tuple[str, NDArray[np.float32]]],
) -> None:
    """Compare with brute force; ties may be told in any order, scores may not differ."""
    assert len(found) == len(probes)
    for matches, probe in zip(found, probes, strict=True):
        best: dict[str, float] = {}
        for person_id, embedding in faces.values():
            best[person_id] = max(best.get(person_id, -2.0), float(probe @ embedding))
        expected = sorted(best.values(), reverse=True)[:k]
        scores = [match.score for match in matches]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert len({match.person_id for match in matches}) == len(matches)
        for match in matches:
            person_id, embedding = faces[match.face_id]
            assert match.person_id == person_id
            np.testing.assert_allclose(match.score, float(probe @ embedding), atol=1e-5)
            np.testing.assert_allclose(match.score, best[person_id], atol=1e-5)


# few persons and few directions, so that ties, replacements and crowded persons are the rule
_POOL = unit_vectors(12, DIMENSION, seed=1)
_face_ids = st.integers(0, 40).map(lambda number: f"face-{number}")
_person_ids = st.integers(0, 6).map(lambda number: f"person-{number}")
_directions = st.integers(0, len(_POOL) - 1)


class GalleryModel(RuleBasedStateMachine):
    """Puts, discards and searches at random, and holds the gallery against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        tune_this_thread(threads=1, dimension=DIMENSION)
        self.gallery = FlatGallery(DIMENSION)
        self.truth: dict[str, tuple[str, NDArray[np.float32]]] = {}

    @rule(faces=st.lists(st.tuples(_face_ids, _person_ids, _directions), max_size=12))
    def put(self, faces: list[tuple[str, str, int]]) -> None:
        self.gallery.put(
            [
                GalleryFace(face_id=face_id, person_id=person_id, embedding=_POOL[direction])
                for face_id, person_id, direction in faces
            ]
        )
        self.truth |= {
            face_id: (person_id, _POOL[direction]) for face_id, person_id, direction in faces
        }

    @rule(face_ids=st.lists(_face_ids, max_size=12))
    def discard(self, face_ids: list[str]) -> None:
        self.gallery.discard(face_ids)
        for face_id in face_ids:
            self.truth.pop(face_id, None)

    @rule(person_id=_person_ids)
    def erase_person(self, person_id: str) -> None:
        theirs = [face for face, (person, _) in self.truth.items() if person == person_id]
        self.gallery.discard(theirs)
        for face_id in theirs:
            del self.truth[face_id]
        found = self.gallery.search(_POOL, 100)
        assert all(match.person_id != person_id for matches in found for match in matches)

    @rule(
        directions=st.lists(_directions, min_size=1, max_size=2 * BLAS_SWITCH),
        k=st.integers(1, 9),
    )
    def search(self, directions: list[int], k: int) -> None:
        probes = _POOL[directions]
        assert_exact(self.gallery.search(probes, k), probes, k, self.truth)

    @invariant()
    def counts_are_right(self) -> None:
        assert self.gallery.faces == len(self.truth)
        assert self.gallery.persons == len({person for person, _ in self.truth.values()})
        assert self.gallery.memory_bytes == 4 * DIMENSION * len(self.truth)


TestGalleryModel = GalleryModel.TestCase
TestGalleryModel.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("count", [1, BLAS_SWITCH - 1, BLAS_SWITCH, 19, 20, 21, 256])
def test_both_kernels_of_faiss_give_the_same_exact_answers(count: int) -> None:
    gallery = FlatGallery(DIMENSION)
    faces = faces_of(unit_vectors(3000, DIMENSION), per_person=3)
    gallery.put(faces)
    probes = unit_vectors(count, DIMENSION, seed=2)
    truth = {face.face_id: (face.person_id, face.embedding) for face in faces[:3000]}
    scores = probes @ np.stack([face.embedding for face in faces]).T
    per_person = np.sort(scores.reshape(count, -1, 3).max(axis=2), axis=1)[:, ::-1][:, :5]
    found = gallery.search(probes, 5)
    np.testing.assert_allclose(
        [[match.score for match in matches] for matches in found], per_person, atol=1e-5
    )
    for matches, probe in zip(found, probes, strict=True):
        for match in matches:
            person_id, embedding = truth[match.face_id]
            assert match.person_id == person_id
            assert match.score == pytest.approx(float(probe @ embedding), abs=1e-5)


def test_a_person_with_many_faces_does_not_crowd_the_others_out() -> None:
    gallery = FlatGallery(DIMENSION)
    probe = _POOL[0]
    crowd = [
        GalleryFace(face_id=f"crowd-{at}", person_id="crowd", embedding=probe) for at in range(500)
    ]
    others = faces_of(unit_vectors(4, DIMENSION, seed=5), prefix="other")
    gallery.put([*crowd, *others])
    (matches,) = gallery.search(probe[None], 5)
    assert matches[0].person_id == "crowd"
    assert {match.person_id for match in matches[1:]} == {face.person_id for face in others}


def test_an_empty_gallery_names_nobody() -> None:
    assert FlatGallery(DIMENSION).search(_POOL, 5) == [[]] * len(_POOL)


def test_fewer_people_than_asked_for() -> None:
    gallery = FlatGallery(DIMENSION)
    gallery.put(faces_of(_POOL[:2]))
    assert [len(matches) for matches in gallery.search(_POOL[:3], 100)] == [2, 2, 2]


def test_a_face_that_changes_hands_is_found_under_its_new_person_only() -> None:
    gallery = FlatGallery(DIMENSION)
    gallery.put([GalleryFace(face_id="face", person_id="before", embedding=_POOL[0])])
    gallery.put([GalleryFace(face_id="face", person_id="after", embedding=_POOL[1])])
    assert gallery.persons == 1
    ((match,),) = gallery.search(_POOL[1:2], 5)
    assert (match.person_id, match.face_id) == ("after", "face")
    assert match.score == pytest.approx(1.0, abs=1e-5)


def test_the_vector_of_an_erased_face_leaves_the_memory_of_the_index() -> None:
    gallery = FlatGallery(DIMENSION)
    gallery.put(faces_of(_POOL[:4]))
    memory = gallery._vectors()
    gallery.discard(["f1"])
    assert not (memory == _POOL[1]).all(axis=1).any()


def test_an_embedding_of_another_length_is_refused_before_anything_changes() -> None:
    gallery = FlatGallery(DIMENSION)
    good = faces_of(_POOL[:1])
    bad = GalleryFace(face_id="bad", person_id="p", embedding=np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"expected shape \(8,\), got \(3,\)"):
        gallery.put([*good, bad])
    assert gallery.faces == 0
