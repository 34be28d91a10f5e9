"""What the manifests say, and that they hold together."""

import dataclasses

import numpy as np
import pytest

from face_engine.packs import PackUnknown, known_packs, resolve_pack


def test_the_default_pack_comes_first() -> None:
    assert known_packs()[0] == "builtin"


def test_an_unknown_pack_is_named_with_the_known_ones() -> None:
    with pytest.raises(PackUnknown, match="no model pack 'best'; choose one of: builtin"):
        resolve_pack("best")


@pytest.mark.parametrize("pack_id", known_packs())
def test_every_manifest_is_complete(pack_id: str) -> None:
    pack = resolve_pack(pack_id)
    assert pack.dimension == 128
    assert np.asarray(pack.alignment.template).shape == (5, 2)
    thresholds = pack.thresholds
    assert -1 < thresholds.review < thresholds.match < 1
    assert 0 < thresholds.margin < thresholds.match
    for file in pack.files:
        assert len(file.source.sha256) == 64
        assert file.source.licence in ("MIT", "CC0-1.0")


def test_the_score_is_the_inner_product_of_every_pair() -> None:
    pack = resolve_pack("builtin")
    one = np.eye(3, pack.dimension, dtype=np.float32)
    two = np.eye(2, pack.dimension, dtype=np.float32) * np.float32(0.5)
    np.testing.assert_array_equal(
        pack.score(one, two), np.array([[0.5, 0], [0, 0.5], [0, 0]], np.float32)
    )


def test_the_digest_follows_the_files_and_nothing_else() -> None:
    pack = resolve_pack("builtin")
    other_thresholds = dataclasses.replace(pack.thresholds, match=0.9)
    assert dataclasses.replace(pack, thresholds=other_thresholds).digest == pack.digest
    assert dataclasses.replace(pack, files=pack.files[:-1]).digest != pack.digest
    assert resolve_pack("yunet-dlib").digest != pack.digest
