"""A small writer for ONNX graphs: one call a node, weights stored beside it, checked at the end.

Each converter uses it; nothing outside `converters/` does.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

OPSET = 17
_IR_VERSION = 8


class GraphWriter:
    """Collects nodes and weights; `finish` returns the serialized, checked model."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, values: NDArray[Any]) -> str:
        """Store an array and return its name."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str | None = None,
        **attributes: int | list[int],
    ) -> str:
        """Add a node and return the name of its output."""
        name = output or f"n{len(self._nodes)}"
        node = helper.make_node(operator, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in attributes)
        self._nodes.append(node)
        return name

    def pixels(self, source: str) -> str:
        """Turn (n, h, w, 3) uint8 into (n, 3, h, w) float32, 0 to 255."""
        floats = self.node("Cast", [source], to=TensorProto.FLOAT)
        return self.node("Transpose", [floats], perm=[0, 3, 1, 2])

    def finish(
        self,
        source: tuple[str, tuple[int | str, ...]],
        outputs: Sequence[tuple[str, tuple[int | str, ...]]],
    ) -> bytes:
        """Return the model.

        Args:
            source: name and (n, h, w, 3) shape of the uint8 input.
            outputs: names and shapes of the float32 outputs; a string is a free dimension.
        """
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(source[0], TensorProto.UINT8, list(source[1]))],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
                for name, shape in outputs
            ],
            self._weights,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="dfip"
        )
        model.ir_version = _IR_VERSION
        checker.check_model(model, full_check=True)
        serialized: bytes = model.SerializeToString(deterministic=True)
        return serialized
