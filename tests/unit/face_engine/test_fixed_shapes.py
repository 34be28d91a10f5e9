"""Bound buffers give what plain calls give, for every bucket, wherever the values lie."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from face_engine.engine import FaceEngine
from face_engine.fixed_shapes import FixedShapes, bucket_for, pad_to, same_in_batches
from face_engine.onnx_session import open_models
from face_engine.preparation import PreparedPack, load_models


def _mixing_model() -> bytes:
    """Return a model that flattens its batch into one row, as exports made for batch 1 do."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["x"], ["all"], keepdims=1),
            helper.make_node("Add", ["x", "all"], ["y"]),
        ],
        "mixes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    serialized: bytes = model.SerializeToString()
    return serialized


def _session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("count", [1, 2, 8])
def test_bound_runs_answer_like_plain_ones(builtin_pack: PreparedPack, count: int) -> None:
    model = load_models(builtin_pack.pack)["dlib_resnet.onnx"]
    opened = open_models(
        {"dlib_resnet.onnx": model}, threads=1, accelerator="cpu", required=False
    ).sessions["dlib_resnet.onnx"]
    chips = np.random.default_rng(count).integers(0, 256, (count, 150, 150, 3), np.uint8)
    plain = opened.run(["embeddings"], chips)[0]
    for values in (chips, onnxruntime.OrtValue.ortvalue_from_numpy(chips)):
        bound = opened.run_fixed(["embeddings"], values)[0]
        assert bound.shape == (count, 128)
        np.testing.assert_array_equal(bound, plain)


def test_buffers_that_stay_answer_like_new_ones() -> None:
    """What a GPU captures is run here without capture: the same buffers, filled again and again."""
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Mul", ["x", "x"], ["y"])],
            "squares",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    fixed = FixedShapes(_session(model.SerializeToString()), processor="cpu", graphs=True)
    kept = []
    for number in range(1, 40):
        values = np.full((1 + number % 20, 3), number, np.float32)
        kept.append((values, fixed.run(["y"], values)[0]))
    for values, found in kept:  # an answer stays what it was when its buffer is filled again
        np.testing.assert_array_equal(found, values**2)


def test_a_model_that_mixes_its_batch_is_found_out(builtin_engine: FaceEngine) -> None:
    mixing = _session(_mixing_model())

    def run(values: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        found: Sequence[NDArray[np.float32]] = mixing.run(["y"], {"x": values})
        return found

    samples = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert not same_in_batches(run, samples, tolerance=1e-4)

    def embed(values: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
        return [builtin_engine.embed(values.astype(np.uint8))]

    chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3)).astype(np.float32)
    assert same_in_batches(embed, chips, tolerance=1e-4)


@pytest.mark.parametrize(("count", "bucket"), [(1, 1), (3, 4), (4, 4), (16, 16), (40, 16)])
def test_the_smallest_bucket_that_fits_is_taken(count: int, bucket: int) -> None:
    assert bucket_for(count, (1, 2, 4, 8, 16)) == bucket


def test_padding_adds_rows_of_zeros() -> None:
    values = np.ones((3, 2), np.uint8)
    padded = pad_to(values, 4)
    assert padded.tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    assert pad_to(values, 3) is values
