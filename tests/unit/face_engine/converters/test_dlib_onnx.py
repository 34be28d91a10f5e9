"""The converted recognition network returns what dlib itself returns."""

from pathlib import Path

import numpy as np
import pytest

from face_engine.converters.dlib_onnx import convert_dlib_resnet
from face_engine.engine import FaceEngine
from face_engine.errors import PackFileCorrupt
from face_engine.model_files import read_source
from face_engine.onnx_session import open_models
from face_engine.packs import resolve_pack
from face_engine.preparation import PreparedPack, load_models
from tests.support.astronaut import astronaut
from tests.support.face_vectors import reference

NAME = "dlib_face_recognition_resnet_model_v1.dat"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = next(file.source for file in resolve_pack("builtin").files if file.source.name == NAME)
    return read_source(source, folders=[], cache=tmp_path_factory.mktemp("empty"))


def test_outputs_are_those_of_dlib(builtin_pack: PreparedPack) -> None:
    recorded = reference("dlib_resnet")
    models = open_models(
        {"net": load_models(builtin_pack.pack)["dlib_resnet.onnx"]},
        threads=1,
        accelerator="cpu",
        required=False,
    )
    found = models.sessions["net"].run(["embeddings"], recorded["chips"])[0]
    assert found.shape == (3, 128)
    assert np.abs(found - recorded["embeddings"]).max() < 2e-6


def test_our_detection_and_alignment_lead_to_the_same_face_as_those_of_dlib(
    builtin_engine: FaceEngine,
) -> None:
    aligned_by_dlib = reference("dlib_resnet")["chips"][2:]
    (face,) = builtin_engine.analyze(astronaut())
    score = float((face.embedding @ builtin_engine.embed(aligned_by_dlib).T).item())
    assert score > 0.9


@pytest.mark.parametrize("size", [0, 1, 10, 1000, 1_000_000, 22_466_065])
def test_a_cut_off_file_is_refused(weights: bytes, size: int) -> None:
    with pytest.raises(PackFileCorrupt, match="damaged"):
        convert_dlib_resnet(weights[:size], NAME)


def test_a_file_with_something_behind_it_is_refused(weights: bytes) -> None:
    with pytest.raises(PackFileCorrupt, match="1 bytes follow"):
        convert_dlib_resnet(weights + b"\0", NAME)


@pytest.mark.parametrize("at", [0, 40, 300])
def test_a_changed_structure_is_refused(weights: bytes, at: int) -> None:
    changed = weights[:at] + bytes([weights[at] ^ 0x55]) + weights[at + 1 :]
    with pytest.raises(PackFileCorrupt):
        convert_dlib_resnet(changed, NAME)


def test_the_68_point_file_is_in_no_pack() -> None:
    names = [
        Path(file.source.name).name
        for pack_id in ("builtin", "yunet-dlib")
        for file in resolve_pack(pack_id).files
    ]
    assert not [name for name in names if "68" in name]
