"""The converted detection networks return what the Keras networks themselves return."""

import numpy as np
import pytest

from face_engine.converters.mtcnn_onnx import convert_onet, convert_pnet
from face_engine.errors import PackFileCorrupt
from face_engine.model_files import read_source
from face_engine.onnx_session import open_models
from face_engine.packs import resolve_pack
from face_engine.preparation import PreparedPack, load_models
from tests.support.face_vectors import reference

TOLERANCE = 2e-6


@pytest.mark.parametrize(
    ("net", "outputs"),
    [("p", ("prob", "box")), ("r", ("prob", "box")), ("o", ("prob", "box", "points"))],
)
def test_outputs_are_those_of_keras(
    builtin_pack: PreparedPack, net: str, outputs: tuple[str, ...]
) -> None:
    recorded = reference("mtcnn_networks")
    models = open_models(
        {"net": load_models(builtin_pack.pack)[f"mtcnn_{net}net.onnx"]},
        threads=1,
        accelerator="cpu",
        required=False,
    )
    found = models.sessions["net"].run(outputs, recorded[f"{net}_pixels"])
    for name, values in zip(outputs, found, strict=True):
        if values.ndim == 4:
            values = values.transpose(0, 2, 3, 1)  # noqa: PLW2901 - Keras puts channels last
        expected = recorded[f"{net}_{name}"]
        assert values.shape == expected.shape
        assert np.abs(values - expected).max() < TOLERANCE


def test_the_recorded_face_is_sure_and_the_rest_is_not() -> None:
    recorded = reference("mtcnn_networks")
    assert recorded["o_prob"][0] > 0.99
    assert recorded["o_prob"][1:].max() < 0.1


def test_weights_of_another_network_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    source = resolve_pack("builtin").files[0].source
    weights = read_source(source, folders=[], cache=tmp_path_factory.mktemp("empty"))
    convert_pnet(weights, "pnet.lz4")
    with pytest.raises(PackFileCorrupt, match="expected an array of shape"):
        convert_onet(weights, "onet.lz4")
