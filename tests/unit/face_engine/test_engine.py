"""The whole engine on one face: find, align, assess, embed."""

import threading

import numpy as np
import pytest
from PIL import Image

from face_engine.engine import FaceEngine, open_engine
from face_engine.preparation import PreparedPack
from tests.support.astronaut import astronaut


def test_the_astronaut_is_one_good_face(builtin_engine: FaceEngine) -> None:
    (face,) = builtin_engine.analyze(astronaut())
    assert face.quality.verdict == "good"
    assert face.chip.shape == (150, 150, 3)
    assert face.embedding.shape == (builtin_engine.pack.dimension,)
    assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-5)


def test_she_matches_herself_smaller_darker_and_compressed(builtin_engine: FaceEngine) -> None:
    photo = astronaut()
    (enrolled,) = builtin_engine.analyze(photo)
    smaller = np.asarray(Image.fromarray(photo).resize((300, 300)))
    darker = (photo * 0.5).astype(np.uint8)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    for changed in (smaller, darker, mirrored):
        (seen,) = builtin_engine.analyze(changed)
        score = builtin_engine.pack.score(enrolled.embedding[None], seen.embedding[None]).item()
        assert score > builtin_engine.pack.thresholds.match + 0.1


def test_the_widest_face_comes_first(builtin_engine: FaceEngine) -> None:
    small = Image.fromarray(astronaut()).resize((256, 256))
    picture = np.zeros((512, 768, 3), np.uint8)
    picture[:256, :256] = np.asarray(small)
    picture[:, 256:] = astronaut()
    faces = builtin_engine.analyze(picture)
    widths = [face.quality.width_px for face in faces]
    assert len(faces) == 2
    assert widths == sorted(widths, reverse=True)


def test_a_picture_without_a_face_gives_nothing(builtin_engine: FaceEngine) -> None:
    assert builtin_engine.analyze(np.zeros((200, 200, 3), np.uint8)) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 9, 16, 17])
def test_a_batch_gives_what_single_chips_give(builtin_engine: FaceEngine, count: int) -> None:
    random = np.random.default_rng(count)
    chips = random.integers(0, 256, (count, 150, 150, 3)).astype(np.uint8)
    together = builtin_engine.embed(chips)
    assert together.shape == (count, 128)
    for at in (0, count - 1) if count else ():
        alone = builtin_engine.embed(chips[at : at + 1])
        np.testing.assert_allclose(together[at], alone[0], atol=2e-5)


def test_a_face_and_its_mirror_image_are_the_same_point(builtin_engine: FaceEngine) -> None:
    (face,) = builtin_engine.analyze(astronaut())
    both = np.stack([face.chip, face.chip[:, ::-1]])
    a, b = builtin_engine.embed(both)
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_wrong_arrays_are_refused_with_what_was_expected(builtin_engine: FaceEngine) -> None:
    with pytest.raises(ValueError, match=r"chips: expected \(n, 150, 150, 3\) uint8"):
        builtin_engine.embed(np.zeros((1, 112, 112, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image: expected \(h, w, 3\) uint8"):
        builtin_engine.detect(np.zeros((10, 10), np.uint8))
    with pytest.raises(ValueError, match="image: expected sides"):
        builtin_engine.detect(np.zeros((1, 40_000, 3), np.uint8))


def test_a_picture_that_is_a_view_is_accepted(builtin_engine: FaceEngine) -> None:
    assert len(builtin_engine.detect(astronaut()[:, ::-1])) == 1


def test_a_closed_engine_says_so(builtin_pack: PreparedPack) -> None:
    with open_engine(builtin_pack.pack.pack_id, accelerator="cpu") as engine:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        engine.detect(astronaut())


def test_threads_may_share_an_engine(builtin_engine: FaceEngine) -> None:
    found: list[float] = []

    def look() -> None:
        found.append(float(builtin_engine.analyze(astronaut())[0].embedding[0]))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3
