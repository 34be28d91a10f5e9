"""YuNet with free dimensions computes what the published file computes."""

import numpy as np
import onnxruntime
import pytest

from face_engine.converters.yunet_dynamic import free_yunet
from face_engine.errors import PackFileCorrupt
from tests.support.media import media_path

MODEL = "models/face_detection_yunet_2023mar.onnx"


@pytest.mark.media
def test_results_are_identical_and_the_size_is_free() -> None:
    published = media_path(MODEL).read_bytes()
    original = onnxruntime.InferenceSession(published)
    freed = onnxruntime.InferenceSession(free_yunet(published, MODEL))
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, 640, 640)).astype(np.float32)
    for a, b in zip(
        original.run(None, {"input": pixels}), freed.run(None, {"input": pixels}), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    small = freed.run(["cls_8"], {"input": pixels[:, :, :96, :160]})[0]
    assert small.shape == (1, 12 * 20, 1)


@pytest.mark.media
@pytest.mark.parametrize("size", [0, 100, 200_000])
def test_a_cut_off_file_is_refused(size: int) -> None:
    published = media_path(MODEL).read_bytes()
    with pytest.raises(PackFileCorrupt, match="not YuNet"):
        free_yunet(published[:size], MODEL)


def test_another_file_is_refused() -> None:
    with pytest.raises(PackFileCorrupt, match="not YuNet"):
        free_yunet(b"something else entirely", "x.onnx")
