"""Reads dlib's face recognition network into a list of layers, from the input to the output.

dlib streams a network recursively, outermost layer first: each layer writes its version, then the
whole network below it, then its own data. The types are not in the stream but in the C++ program,
so the order of layers is declared here (dlib/examples/dnn_face_recognition_ex.cpp): 7x7 stem, four
stages of residual blocks that halve the picture and double the channels, average, 128 numbers.
`dlib_onnx.py` writes the layers as ONNX.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from face_engine.converters.dlib_reader import DlibReader


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution:
    """Filters (out, in, height, width), biases (out,); stride and padding are (down, right)."""

    filters: NDArray[np.float32]
    biases: NDArray[np.float32]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """Scale and shift of each channel, (channels,) both."""

    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Maximum or average; a window of (0, 0) is the whole picture."""

    kind: Literal["max", "average"]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FullyConnected:
    """Weights (in, out), no bias."""

    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A layer without parameters.

    tag1 and tag2 remember their input, skip1 returns to the tag's, add1 and add2 add the tag's.
    """

    kind: Literal["relu", "tag1", "tag2", "skip1", "add1", "add2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInput:
    """Average red, green and blue to subtract before dividing by 256, and the chip's size."""

    averages: tuple[float, float, float]
    rows: int
    columns: int


Layer = Convolution | Affine | Pool | FullyConnected | Marker

_Kind = Literal[
    "con", "affine", "relu", "max", "average", "fc", "tag1", "tag2", "skip1", "add1", "add2"
]
_STEM: tuple[_Kind, ...] = ("con", "affine", "relu", "max")
_KEEP: tuple[_Kind, ...] = (
    *("tag1", "con", "affine", "relu", "con", "affine", "add1", "relu"),
)  # fmt: skip
_HALVE: tuple[_Kind, ...] = (
    *("tag1", "con", "affine", "relu", "con", "affine", "tag2"),
    *("skip1", "average", "add2", "relu"),
)
_ORDER: tuple[_Kind, ...] = (
    *_STEM,
    *(_KEEP * 3),
    *(_HALVE + _KEEP * 3),
    *(_HALVE + _KEEP * 2),
    *(_HALVE + _KEEP * 2),
    *_HALVE,
    *("average", "fc"),
)
_WITHOUT_DATA = ("tag1", "tag2", "skip1")


def read_network(data: bytes, name: str) -> tuple[PictureInput, list[Layer]]:
    """Read the file of dlib's face recognition network.

    Args:
        data: the whole file.
        name: the file's name, for errors.

    Returns:
        The input, and the layers from the input to the output.

    Raises:
        PackFileCorrupt: the bytes are no such network.
    """
    reader = DlibReader(data, name)
    reader.expect("the loss layer's version", 1)
    _details_name(reader, "loss_metric_2")
    reader.number()  # the margin and
    reader.number()  # the distance threshold of its training
    versions = [_open_layer(reader, kind) for kind in reversed(_ORDER[1:])][::-1]
    innermost = reader.expect("the input layer's version", 2, 3)
    picture = _picture_input(reader)
    layers = [_layer(reader, _ORDER[0])]
    _state(reader, tensors=3)
    if innermost == 3:
        reader.integer()  # sample expansion factor
    for kind, version in zip(_ORDER[1:], versions, strict=True):
        layers.append(_layer(reader, kind))
        if kind not in _WITHOUT_DATA:
            _state(reader, tensors=2 if version == 1 else 3)
    if reader.remaining:
        raise reader.corrupt(f"{reader.remaining} bytes follow the network")
    return picture, layers


def _open_layer(reader: DlibReader, kind: _Kind) -> int:
    if kind in _WITHOUT_DATA:
        return reader.expect(f"the version of {kind}", 1)
    return reader.expect(f"the version of {kind}", 1, 2)


def _state(reader: DlibReader, *, tensors: int) -> None:
    for _ in range(3):
        reader.boolean()
    for _ in range(tensors):
        reader.tensor()


def _details_name(reader: DlibReader, *allowed: str) -> str:
    found = reader.text()
    if found not in allowed:
        raise reader.corrupt(f"a layer is named {found!r}, not {' or '.join(allowed)}")
    return found


def _picture_input(reader: DlibReader) -> PictureInput:
    _details_name(reader, "input_rgb_image_sized")
    averages = (reader.number(), reader.number(), reader.number())
    return PictureInput(averages=averages, rows=reader.integer(), columns=reader.integer())


def _layer(reader: DlibReader, kind: _Kind) -> Layer:
    match kind:
        case "con":
            return _convolution(reader)
        case "affine":
            return _affine(reader)
        case "max" | "average":
            return _pool(reader, kind)
        case "fc":
            return _fully_connected(reader)
        case "relu":
            _details_name(reader, "relu_")
        case "add1" | "add2":
            _details_name(reader, "add_prev_")
        case "tag1" | "tag2" | "skip1":
            pass
    return Marker(kind=kind)


def _pair(reader: DlibReader) -> tuple[int, int]:
    return reader.integer(), reader.integer()


def _convolution(reader: DlibReader) -> Convolution:
    _details_name(reader, "con_4")
    parameters = reader.tensor().reshape(-1)
    reader.integer()  # number of filters, again in the alias below
    _pair(reader)  # filter size, likewise
    stride, padding = _pair(reader), _pair(reader)
    filters, biases = reader.alias(), reader.alias()
    for _ in range(4):
        reader.number()  # learning rate and weight decay multipliers
    split = int(np.prod(filters))
    if split + int(np.prod(biases)) != parameters.size or int(np.prod(biases)) != filters[0]:
        raise reader.corrupt("a convolution's parameters do not fit its shape")
    return Convolution(
        filters=parameters[:split].reshape(filters),
        biases=parameters[split:],
        stride=stride,
        padding=padding,
    )


def _affine(reader: DlibReader) -> Affine:
    _details_name(reader, "affine_")
    parameters = reader.tensor().reshape(-1)
    gamma, beta = int(np.prod(reader.alias())), int(np.prod(reader.alias()))
    reader.integer()  # mode: a value a channel
    if gamma != beta or gamma + beta != parameters.size:
        raise reader.corrupt("an affine layer's parameters do not fit its shape")
    return Affine(gamma=parameters[:gamma], beta=parameters[gamma:])


def _pool(reader: DlibReader, kind: Literal["max", "average"]) -> Pool:
    _details_name(reader, "max_pool_2" if kind == "max" else "avg_pool_2")
    return Pool(kind=kind, window=_pair(reader), stride=_pair(reader), padding=_pair(reader))


def _fully_connected(reader: DlibReader) -> FullyConnected:
    _details_name(reader, "fc_2")
    outputs, inputs = reader.integer(), reader.integer()
    parameters = reader.tensor().reshape(-1)
    reader.alias()
    reader.alias()
    reader.integer()  # bias mode
    for _ in range(4):
        reader.number()
    if outputs < 1 or inputs < 1 or parameters.size != outputs * inputs:
        raise reader.corrupt("the last layer's parameters do not fit its shape")
    return FullyConnected(weights=parameters.reshape(inputs, outputs))
