"""The comparison space is the documented one and makes unit vectors."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from face_engine.dlib_space import DLIB_MATCH, DLIB_REVIEW, DLIB_SPACE
from face_engine.embedder import DlibEmbedder
from face_engine.onnx_session import open_models
from face_engine.preparation import PreparedPack, load_models
from tests.support.astronaut import skimage_data


def blurred_faces(pack: PreparedPack) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the raw outputs of the hundred faces that the centre is the mean of."""
    faces = np.load(skimage_data("lfw_subset.npy"), allow_pickle=False)[:100]
    grey = (faces * 255).round().astype(np.uint8)
    large = [cv2.resize(face, (150, 150), interpolation=cv2.INTER_CUBIC) for face in grey]
    chips = np.repeat(np.stack(large)[..., None], 3, axis=3).astype(np.uint8)
    models = open_models(load_models(pack.pack), threads=1, accelerator="cpu", required=False)
    return DlibEmbedder(models.sessions, mirror_averaged=True).raw(chips)


def test_the_centre_is_the_mean_of_the_documented_faces(builtin_pack: PreparedPack) -> None:
    raw = blurred_faces(builtin_pack)
    assert np.abs(raw.mean(axis=0) - DLIB_SPACE.centre).max() < 2e-4

    placed = DLIB_SPACE.place(raw)
    pairs = np.triu_indices(len(raw), 1)
    distances = np.linalg.norm(raw[:, None] - raw[None], axis=2)[pairs]
    scores = (placed @ placed.T)[pairs]
    assert (distances < 0.6).mean() > 0.3, "plain distances call blurred faces one person"
    assert (scores >= DLIB_MATCH).mean() < 0.002
    assert (scores >= DLIB_REVIEW).mean() < 0.01


@given(st.integers(0, 2**32 - 1))
def test_placed_vectors_have_unit_length(seed: int) -> None:
    raw = np.random.default_rng(seed).normal(0, 0.2, (3, 128)).astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(DLIB_SPACE.place(raw), axis=1), 1, rtol=1e-5)


def test_the_centre_itself_has_no_direction_and_stays_finite() -> None:
    placed = DLIB_SPACE.place(DLIB_SPACE.centre[None])
    assert np.isfinite(placed).all()
