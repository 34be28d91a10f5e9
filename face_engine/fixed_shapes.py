"""Runs a model on a few fixed shapes through bound buffers instead of copies.

Values come from wherever they are: anything with DLPack, on the host or on the GPU, is bound as it
is. With CUDA graphs the work of a shape is captured once and replayed, which asks for the same
addresses each time: each shape then has buffers of its own, into which the values are copied on the
GPU. Works with every provider; `onnx_session.py` uses it for CUDA, where it pays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Processor = Literal["cpu", "cuda"]

_MOST_SHAPES = 16
_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"


class OnDevice(Protocol):
    """An array that says where it is: NumPy's, DALI's and ONNX Runtime's own."""

    def __dlpack__(self) -> object: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    binding: onnxruntime.IOBinding
    values: onnxruntime.OrtValue
    options: onnxruntime.RunOptions


class FixedShapes:
    """One session; not for several threads at once."""

    def __init__(
        self, session: onnxruntime.InferenceSession, *, processor: Processor, graphs: bool
    ) -> None:
        self._session = session
        self._processor = processor
        self._graphs = graphs
        self._input: str = session.get_inputs()[0].name
        self._captured: dict[tuple[object, ...], _Captured] = {}

    def run(self, outputs: Sequence[str], values: OnDevice) -> list[NDArray[np.float32]]:
        """Return the named outputs for one input, on the host.

        Args:
            outputs: names of outputs, the same ones for every call of a shape.
            values: C-contiguous; on the host or the GPU, unchanged until this returns.
        """
        given = onnxruntime.OrtValue.from_dlpack(values)
        if not self._graphs:
            return self._run_bound(outputs, given)
        key = (*outputs, *given.shape())
        captured = self._captured.get(key)
        if captured is None:
            if len(self._captured) >= _MOST_SHAPES:  # shapes that are not fixed after all
                return self._run_bound(outputs, given)
            captured = self._captured[key] = self._prepare(outputs, given)
        captured.values.update_inplace(given)
        self._session.run_with_iobinding(captured.binding, captured.options)
        captured.binding.synchronize_outputs()
        found: list[NDArray[np.float32]] = captured.binding.copy_outputs_to_cpu()
        return found

    def _run_bound(
        self, outputs: Sequence[str], given: onnxruntime.OrtValue
    ) -> list[NDArray[np.float32]]:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, given)
        for name in outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, without_capture(graphs=self._graphs))
        # the arrays would lie in memory of the binding, which is gone then
        return [np.array(value.numpy()) for value in binding.get_outputs()]

    def _prepare(self, outputs: Sequence[str], given: onnxruntime.OrtValue) -> _Captured:
        """Make buffers at addresses that stay, as large as a first run without capture says."""
        sizes = [found.shape for found in self._run_bound(outputs, given)]
        own = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            given.shape(), given.element_type(), self._processor, 0
        )
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, own)
        for name, size in zip(outputs, sizes, strict=True):
            result = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                size, np.float32, self._processor, 0
            )
            binding.bind_ortvalue_output(name, result)
        options = onnxruntime.RunOptions()
        options.add_run_config_entry(_GRAPH_ID, str(len(self._captured) + 1))
        return _Captured(binding=binding, values=own, options=options)


def without_capture(*, graphs: bool) -> onnxruntime.RunOptions | None:
    """Return how a session is run once without capturing anything; None where none captures."""
    if not graphs:
        return None
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_GRAPH_ID, _NO_GRAPH)
    return options


def bucket_for(count: int, buckets: Sequence[int]) -> int:
    """Return the smallest bucket that holds `count`, or the largest there is."""
    return next((size for size in buckets if size >= count), buckets[-1])


def pad_to(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return the values with rows of zeros after them; the very array if there are enough."""
    if len(values) == rows:
        return values
    padded = np.zeros((rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded


def same_in_batches(
    run: Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]],
    samples: NDArray[np.float32],
    *,
    tolerance: float,
) -> bool:
    """Say whether a model answers a batch as it answers each of its rows alone.

    Models exported for one picture may mix the pictures of a batch where they flatten it.

    Args:
        run: the model; its outputs have a row an input first.
        samples: (n, ...) inputs that differ, n at least 2.
        tolerance: largest difference that rounding explains.
    """
    together = run(samples)
    for row in range(len(samples)):
        alone = run(samples[row : row + 1])
        for many, one in zip(together, alone, strict=True):
            if len(many) != len(samples) or many[row : row + 1].shape != one.shape:
                return False
            if not np.allclose(many[row : row + 1], one, rtol=0, atol=tolerance):
                return False
    return True
