"""Writes dlib's face recognition network as ONNX.

Every affine layer is folded into the convolution before it, and the input's average and scale into
the first one, all in float64. dlib adds tensors of different sizes by padding the smaller with
zeros at the bottom, the right and the last channels; here that is an explicit Pad. The model takes
(n, 150, 150, 3) uint8 RGB chips and returns (n, 128) float32, as dlib does without normalising.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from face_engine.converters.dlib_network import (
    Affine,
    Convolution,
    FullyConnected,
    Layer,
    Marker,
    Pool,
    read_network,
)
from face_engine.converters.graph import GraphWriter
from face_engine.errors import PackFileCorrupt

_PIXEL_SCALE = 256.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tensor:
    """A value of the graph with its channels, rows and columns."""

    name: str
    channels: int
    rows: int
    columns: int


def convert_dlib_resnet(data: bytes, name: str) -> bytes:
    """Return the ONNX model of dlib's network file.

    Raises:
        PackFileCorrupt: the bytes are no such network.
    """
    picture, layers = read_network(data, name)
    graph = GraphWriter("dlib_face_recognition_resnet")
    averages = np.asarray(picture.averages, np.float64)
    value = _Tensor(
        name=graph.pixels("chips"), channels=3, rows=picture.rows, columns=picture.columns
    )
    tags: dict[str, _Tensor] = {}
    folded = _fold(layers, averages)
    try:
        for layer in folded:
            value = _write(graph, layer, value, tags)
    except _MisfitError:
        raise PackFileCorrupt(
            f"The model file {name} is damaged (its layers do not fit together); "
            "install the package it comes from again."
        ) from None
    return graph.finish(
        ("chips", ("batch", picture.rows, picture.columns, 3)),
        [(value.name, ("batch", value.channels))],
    )


class _MisfitError(Exception):
    """Two layers disagree about the shape between them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Folded:
    """A convolution with all that surrounds it folded in."""

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    stride: tuple[int, int]
    padding: tuple[int, int]


def _fold(layers: Sequence[Layer], averages: NDArray[np.float64]) -> list[Layer | _Folded]:
    folded: list[Layer | _Folded] = []
    for at, layer in enumerate(layers):
        if isinstance(layer, Affine):
            continue
        if not isinstance(layer, Convolution):
            folded.append(layer)
            continue
        weights = layer.filters.astype(np.float64)
        biases = layer.biases.astype(np.float64)
        if at == 0:  # without padding, so the input's average folds exactly
            weights = weights / _PIXEL_SCALE
            biases = biases - (weights * averages[:, None, None]).sum(axis=(1, 2, 3))
        after = layers[at + 1]
        if isinstance(after, Affine):
            gamma = after.gamma.astype(np.float64)
            weights = weights * gamma[:, None, None, None]
            biases = biases * gamma + after.beta
        folded.append(
            _Folded(
                weights=weights.astype(np.float32),
                biases=biases.astype(np.float32),
                stride=layer.stride,
                padding=layer.padding,
            )
        )
    return folded


def _write(
    graph: GraphWriter, layer: Layer | _Folded, value: _Tensor, tags: dict[str, _Tensor]
) -> _Tensor:
    match layer:
        case _Folded():
            return _write_convolution(graph, layer, value)
        case Pool():
            return _write_pool(graph, layer, value)
        case FullyConnected():
            return _write_last(graph, layer, value)
        case Affine() | Convolution():
            raise AssertionError("folded before")
    return _write_marker(graph, layer, value, tags)


def _write_marker(
    graph: GraphWriter, layer: Marker, value: _Tensor, tags: dict[str, _Tensor]
) -> _Tensor:
    match layer.kind:
        case "relu":
            return replace(value, name=graph.node("Relu", [value.name]))
        case "tag1" | "tag2":
            tags[layer.kind] = value
            return value
        case "skip1":
            return tags["tag1"]
        case "add1":
            return _write_sum(graph, value, tags["tag1"])
        case "add2":
            return _write_sum(graph, value, tags["tag2"])


def _after_window(size: int, window: int, stride: int, padding: int) -> int:
    if stride < 1 or size + 2 * padding < window:
        raise _MisfitError
    return (size + 2 * padding - window) // stride + 1


def _write_convolution(graph: GraphWriter, layer: _Folded, value: _Tensor) -> _Tensor:
    outputs, inputs, high, wide = layer.weights.shape
    if inputs != value.channels:
        raise _MisfitError
    down, right = layer.padding
    name = graph.node(
        "Conv",
        [value.name, graph.weight(layer.weights), graph.weight(layer.biases)],
        kernel_shape=[high, wide],
        strides=list(layer.stride),
        pads=[down, right, down, right],
    )
    return _Tensor(
        name=name,
        channels=outputs,
        rows=_after_window(value.rows, high, layer.stride[0], down),
        columns=_after_window(value.columns, wide, layer.stride[1], right),
    )


def _write_pool(graph: GraphWriter, layer: Pool, value: _Tensor) -> _Tensor:
    if layer.window == (0, 0):
        name = graph.node("GlobalAveragePool", [value.name])
        return _Tensor(name=name, channels=value.channels, rows=1, columns=1)
    (high, wide), (down, right) = layer.window, layer.padding
    name = graph.node(
        "MaxPool" if layer.kind == "max" else "AveragePool",
        [value.name],
        kernel_shape=[high, wide],
        strides=list(layer.stride),
        pads=[down, right, down, right],
    )
    return _Tensor(
        name=name,
        channels=value.channels,
        rows=_after_window(value.rows, high, layer.stride[0], down),
        columns=_after_window(value.columns, wide, layer.stride[1], right),
    )


def _write_last(graph: GraphWriter, layer: FullyConnected, value: _Tensor) -> _Tensor:
    inputs, outputs = layer.weights.shape
    if inputs != value.channels * value.rows * value.columns:
        raise _MisfitError
    flat = graph.node("Flatten", [value.name])
    name = graph.node("MatMul", [flat, graph.weight(layer.weights)], "embeddings")
    return _Tensor(name=name, channels=outputs, rows=1, columns=1)


def _write_sum(graph: GraphWriter, a: _Tensor, b: _Tensor) -> _Tensor:
    channels = max(a.channels, b.channels)
    rows, columns = max(a.rows, b.rows), max(a.columns, b.columns)
    parts = [_padded(graph, part, channels, rows, columns) for part in (a, b)]
    name = graph.node("Add", parts)
    return _Tensor(name=name, channels=channels, rows=rows, columns=columns)


def _padded(graph: GraphWriter, value: _Tensor, channels: int, rows: int, columns: int) -> str:
    missing = (channels - value.channels, rows - value.rows, columns - value.columns)
    if not any(missing):
        return value.name
    pads = graph.weight(np.asarray([0, 0, 0, 0, 0, *missing], np.int64))
    return graph.node("Pad", [value.name, pads])
