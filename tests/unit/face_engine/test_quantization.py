"""A quantised variant is kept only where it still tells people apart, and is a pack of its own.

The faces are the small grey ones of scikit-image's wheel, enlarged.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.engine import open_engine
from face_engine.errors import PackFileCorrupt, PackNotPrepared, PackUnknown, QuantizationRefused
from face_engine.packs import known_packs, resolve_pack, variant_of
from face_engine.preparation import (
    PreparedPack,
    is_prepared,
    prepare_pack,
    prepared_variants,
)
from face_engine.quantization import Measured, QuantizationRules, quantize_pack
from tests.support.astronaut import skimage_data

FEW = QuantizationRules(fewest_faces=8)
DIGEST = "0123456789ab"


def silent(step: str, fraction: float) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def chips() -> NDArray[np.uint8]:
    faces = np.load(skimage_data("lfw_subset.npy"))[:8]
    grey = [
        cv2.resize((face * 255).astype(np.uint8), (150, 150), interpolation=cv2.INTER_CUBIC)
        for face in faces
    ]
    return np.repeat(np.stack(grey)[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def made(
    chips: NDArray[np.uint8], cache: Path, steps: list[tuple[str, float]]
) -> tuple[PreparedPack, Measured]:
    labels = [f"person {at}" for at in range(7)] + [None]
    return quantize_pack(
        "builtin",
        chips,
        labels,
        progress=lambda step, part: steps.append((step, part)),
        cache=cache,
        rules=FEW,
    )


def test_a_variant_stays_near_its_base_on_faces_it_was_not_calibrated_with(
    made: tuple[PreparedPack, Measured], steps: list[tuple[str, float]]
) -> None:
    measured = made[1]
    assert (measured.faces, measured.held_out, measured.pairs) == (8, 2, 28)
    assert measured.cosine_mean > 0.99
    assert measured.cosine_least > 0.97
    assert measured.changed_clearly == 0
    assert measured.fp32 is None  # no two faces are known to be of one person
    assert set(measured.ms_a_face) == {
        f"{model}, batch {size}" for model in ("fp32", "int8") for size in (1, 8)
    }
    assert steps[-1] == ("ready", 1.0)
    assert {step for step, _ in steps} == {"calibrating", "comparing", "ready"}


def test_a_variant_is_a_pack_of_its_own_that_opens_by_its_name(
    made: tuple[PreparedPack, Measured], cache: Path, chips: NDArray[np.uint8]
) -> None:
    pack = made[0].pack
    base = resolve_pack("builtin")
    assert pack.pack_id.startswith("builtin-int8-")
    assert pack.pack_id not in known_packs()
    assert (pack.digest, pack.thresholds.version) != (base.digest, base.thresholds.version)
    assert (pack.thresholds.match, pack.space) == (base.thresholds.match, base.space)
    assert [one.pack.pack_id for one, _ in prepared_variants(cache=cache)] == [pack.pack_id]
    assert prepared_variants(cache=cache)[0][1]["cosine_mean"] == made[1].cosine_mean
    with (
        open_engine(pack.pack_id, accelerator="cpu", cache=cache) as int8,
        open_engine("builtin", accelerator="cpu", cache=cache) as fp32,
    ):
        same = (int8.embed(chips) * fp32.embed(chips)).sum(axis=1)
    assert 0.97 < same.min() < same.max() < 1.0


def test_the_name_vouches_for_the_model(made: tuple[PreparedPack, Measured], cache: Path) -> None:
    pack, folder = made[0].pack, made[0].folder
    other = variant_of(resolve_pack("builtin"), DIGEST)
    copied = folder.parent / f"{other.pack_id}-{other.digest}"
    copied.mkdir()
    for file in folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    assert is_prepared(pack.pack_id, cache=cache)
    assert not is_prepared(other.pack_id, cache=cache)
    with pytest.raises(PackFileCorrupt, match="damaged"):
        open_engine(other.pack_id, accelerator="cpu", cache=cache)


def test_a_variant_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(PackNotPrepared, match="dfip models quantize"):
        prepare_pack(f"builtin-int8-{DIGEST}", cache=tmp_path)


@pytest.mark.parametrize(
    "name", ["builtin-int8", f"other-int8-{DIGEST}", f"builtin-int8-{DIGEST}0", "builtin-int8-../x"]
)
def test_other_names_are_no_packs(name: str) -> None:
    with pytest.raises(PackUnknown):
        resolve_pack(name)


def test_a_variant_that_is_too_far_off_is_refused_with_its_figures(
    made: tuple[PreparedPack, Measured], chips: NDArray[np.uint8], cache: Path
) -> None:
    strict = QuantizationRules(fewest_faces=4, most_faces=4, mean_cosine=0.99999)
    with pytest.raises(QuantizationRefused, match=r"the mean cosine is 0\.9\d+, below 0\.99999"):
        quantize_pack("builtin", chips, [None] * 8, progress=silent, cache=cache, rules=strict)
    kept = [one.pack.pack_id for one, _ in prepared_variants(cache=cache)]
    assert kept == [made[0].pack.pack_id]


def test_too_few_faces_and_a_variant_as_base_are_refused(
    made: tuple[PreparedPack, Measured], chips: NDArray[np.uint8], cache: Path
) -> None:
    with pytest.raises(QuantizationRefused, match=r"8 usable faces are too few .* 36"):
        quantize_pack("builtin", chips, [None] * 8, progress=silent, cache=cache)
    with pytest.raises(QuantizationRefused, match="quantised already"):
        quantize_pack(made[0].pack.pack_id, chips, [None] * 8, progress=silent, cache=cache)


def test_every_shortcoming_is_named() -> None:
    measured = Measured(
        faces=40,
        held_out=10,
        cosine_mean=0.98,
        cosine_least=0.9,
        pairs=780,
        largest_shift=0.3,
        changed=7,
        changed_clearly=3,
        fp32=None,
        int8=None,
    )
    assert measured.shortcomings(QuantizationRules()) == [
        "the mean cosine is 0.9800, below 0.99",
        "the least cosine is 0.9000, below 0.97",
        "3 of 780 pairs are decided otherwise",
    ]
