"""Frees the picture size of YuNet, whose published file is fixed to one picture of 640x640.

Only the twelve Reshape targets and the declared dimensions change; no weight and no operator does,
so the results are those of the published model. Height and width must be multiples of 32.
Source: OpenCV Zoo, models/face_detection_yunet, file face_detection_yunet_2023mar.onnx.
"""

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import checker, numpy_helper

from face_engine.errors import PackFileCorrupt


def free_yunet(data: bytes, name: str) -> bytes:
    """Return YuNet with free batch, height and width; input (n, 3, h, w) float32 BGR, 0 to 255.

    Raises:
        PackFileCorrupt: the bytes are not that model.
    """
    try:
        model = onnx.load_model_from_string(data)
        _free(model.graph)
        checker.check_model(model, full_check=True)
    except (DecodeError, checker.ValidationError, ValueError, IndexError) as error:
        raise PackFileCorrupt(
            f"The model file {name} is damaged or not YuNet; download it again."
        ) from error
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _free(graph: onnx.GraphProto) -> None:
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for weight in graph.initializer:
        if weight.name in targets:
            shape = numpy_helper.to_array(weight)
            if shape.shape != (3,) or shape[0] != 1 or shape[1] != -1:
                raise ValueError("a Reshape has an unexpected target")
            freed = np.asarray([0, -1, shape[2]], np.int64)
            weight.CopyFrom(numpy_helper.from_array(freed, weight.name))
    del graph.value_info[:]
    for place, free in zip((0, 2, 3), ("batch", "height", "width"), strict=True):
        graph.input[0].type.tensor_type.shape.dim[place].dim_param = free
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
        output.type.tensor_type.shape.dim[1].dim_param = f"places_{output.name}"
