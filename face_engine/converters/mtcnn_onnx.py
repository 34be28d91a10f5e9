"""Writes the three networks of MTCNN as ONNX.

MTCNN (Zhang et al., 2016, "Joint Face Detection and Alignment using Multitask Cascaded
Convolutional Networks") looks for faces in three steps: P proposes over a whole picture, R refines
24x24 patches, O refines 48x48 patches and adds five points. The weights come as Keras stores them:
convolutions (height, width, in, out) and a slope for each channel of a PReLU. Each model takes
(n, h, w, 3) uint8 RGB; the scaling to -1..1 is folded into the first convolution, which has no
padding. Outputs: `prob` is the probability of a face, `box` the corrections of x1, y1, x2, y2,
`points` five x and then five y.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_engine.converters.graph import GraphWriter
from face_engine.converters.joblib_arrays import read_arrays
from face_engine.errors import PackFileCorrupt

_PIXEL_OFFSET, _PIXEL_SCALE = 127.5, 128.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A convolution with its PReLU, then a maximum pool of `pool` by 2 (0: none).

    `rounded_up` is Keras' padding "same", which keeps the last partial window.
    """

    kernel: int
    channels: int
    pool: int = 0
    rounded_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Net:
    side: int | str
    steps: tuple[_Step, ...]
    hidden: int
    points: bool = False


_P = _Net(
    side="free",
    steps=(
        _Step(kernel=3, channels=10, pool=2),
        _Step(kernel=3, channels=16),
        _Step(kernel=3, channels=32),
    ),
    hidden=0,
)
_R = _Net(
    side=24,
    steps=(
        _Step(kernel=3, channels=28, pool=3),
        _Step(kernel=3, channels=48, pool=3, rounded_up=False),
        _Step(kernel=2, channels=64),
    ),
    hidden=128,
)
_O = _Net(
    side=48,
    steps=(
        _Step(kernel=3, channels=32, pool=3),
        _Step(kernel=3, channels=64, pool=3, rounded_up=False),
        _Step(kernel=3, channels=64, pool=2),
        _Step(kernel=2, channels=128),
    ),
    hidden=256,
    points=True,
)


def convert_pnet(data: bytes, name: str) -> bytes:
    """Return the proposal network: (n, h, w, 3) to `prob` (n, h', w') and `box` (n, 4, h', w')."""
    return _convert(data, name, _P, "mtcnn_pnet")


def convert_rnet(data: bytes, name: str) -> bytes:
    """Return the refinement network: (n, 24, 24, 3) to `prob` (n,) and `box` (n, 4)."""
    return _convert(data, name, _R, "mtcnn_rnet")


def convert_onet(data: bytes, name: str) -> bytes:
    """Return the output network: (n, 48, 48, 3) to `prob` (n,), `box` (n, 4), `points` (n, 10)."""
    return _convert(data, name, _O, "mtcnn_onet")


class _Weights:
    """Hands out the arrays of one file in order, each with the shape it must have."""

    def __init__(self, arrays: Sequence[NDArray[np.float32]], name: str) -> None:
        self._arrays: Iterator[NDArray[np.float32]] = iter(arrays)
        self._name = name

    def corrupt(self, what: str) -> PackFileCorrupt:
        return PackFileCorrupt(
            f"The model file {self._name} is damaged ({what}); "
            "install the package it comes from again."
        )

    def take(self, *shape: int) -> NDArray[np.float32]:
        array = next(self._arrays, None)
        if array is None or array.shape != shape:
            found = "nothing" if array is None else str(array.shape)
            raise self.corrupt(f"expected an array of shape {shape}, found {found}")
        return array

    def finish(self) -> None:
        if next(self._arrays, None) is not None:
            raise self.corrupt("it holds too many arrays")


def _convert(data: bytes, name: str, net: _Net, title: str) -> bytes:
    weights = _Weights(read_arrays(data, name), name)
    graph = GraphWriter(title)
    value, channels = graph.pixels("pixels"), 3
    for at, step in enumerate(net.steps):
        value = _write_step(graph, value, weights, step, channels, first=at == 0)
        channels = step.channels
    if net.hidden:
        outputs = _write_dense_heads(graph, value, weights, net)
    else:
        outputs = _write_map_heads(graph, value, weights, channels)
    weights.finish()
    side = (net.side, net.side) if isinstance(net.side, int) else ("height", "width")
    return graph.finish(("pixels", ("batch", *side, 3)), outputs)


def _write_step(
    graph: GraphWriter, value: str, weights: _Weights, step: _Step, channels: int, *, first: bool
) -> str:
    kernel = weights.take(step.kernel, step.kernel, channels, step.channels).astype(np.float64)
    biases = weights.take(step.channels).astype(np.float64)
    if first:
        kernel = kernel / _PIXEL_SCALE
        biases = biases - kernel.sum(axis=(0, 1, 2)) * _PIXEL_OFFSET
    value = _write_convolution(graph, value, kernel, biases)
    slope = weights.take(1, 1, step.channels).reshape(step.channels, 1, 1)
    value = graph.node("PRelu", [value, graph.weight(slope)])
    if step.pool:
        value = graph.node(
            "MaxPool",
            [value],
            kernel_shape=[step.pool, step.pool],
            strides=[2, 2],
            ceil_mode=int(step.rounded_up),
        )
    return value


def _write_convolution(
    graph: GraphWriter, value: str, kernel: NDArray[np.floating], biases: NDArray[np.floating]
) -> str:
    filters = kernel.transpose(3, 2, 0, 1).astype(np.float32)
    inputs = [value, graph.weight(filters), graph.weight(biases.astype(np.float32))]
    return graph.node("Conv", inputs, kernel_shape=list(filters.shape[2:]))


def _write_map_heads(
    graph: GraphWriter, value: str, weights: _Weights, channels: int
) -> list[tuple[str, tuple[int | str, ...]]]:
    box = _write_convolution(graph, value, weights.take(1, 1, channels, 4), weights.take(4))
    both = _write_convolution(graph, value, weights.take(1, 1, channels, 2), weights.take(2))
    graph.node("Identity", [box], "box")
    chances = graph.node("Softmax", [both], axis=1)
    graph.node("Gather", [chances, graph.weight(np.asarray(1, np.int64))], "prob", axis=1)
    return [("prob", ("batch", "rows", "columns")), ("box", ("batch", 4, "rows", "columns"))]


def _write_dense_heads(
    graph: GraphWriter, value: str, weights: _Weights, net: _Net
) -> list[tuple[str, tuple[int | str, ...]]]:
    # Keras flattens (width, height, channels) here: these weights were trained on turned pictures.
    turned = graph.node("Transpose", [value], perm=[0, 3, 2, 1])
    flat = graph.node("Flatten", [turned])
    inputs = 3 * 3 * net.steps[-1].channels
    hidden = _write_dense(graph, flat, weights, (inputs, net.hidden))
    hidden = graph.node("PRelu", [hidden, graph.weight(weights.take(net.hidden))])
    outputs: list[tuple[str, tuple[int | str, ...]]] = [("prob", ("batch",)), ("box", ("batch", 4))]
    _write_dense(graph, hidden, weights, (net.hidden, 4), "box")
    if net.points:
        _write_dense(graph, hidden, weights, (net.hidden, 10), "points")
        outputs.append(("points", ("batch", 10)))
    chances = graph.node("Softmax", [_write_dense(graph, hidden, weights, (net.hidden, 2))], axis=1)
    graph.node("Gather", [chances, graph.weight(np.asarray(1, np.int64))], "prob", axis=1)
    return outputs


def _write_dense(
    graph: GraphWriter,
    value: str,
    weights: _Weights,
    shape: tuple[int, int],
    name: str | None = None,
) -> str:
    matrix, biases = weights.take(*shape), weights.take(shape[1])
    return graph.node("Gemm", [value, graph.weight(matrix), graph.weight(biases)], name)
