"""Opens ONNX models on the processor that was asked for, and says which one it became.

ONNX Runtime falls back to the CPU by itself and silently; here what a session really runs on is
checked after it is opened. Threads do not spin while they wait: sessions of several cameras in one
process would steal each other's time. On a GPU all models of a process share one stream
(`cuda_runtime.py`, `cuda_options.py`) and take turns. The detectors and `embedder.py` run the
sessions.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from face_engine.cuda_options import DEFAULT_MEMORY_LIMIT, cuda_options
from face_engine.cuda_runtime import CudaError, cuda_runtime
from face_engine.errors import AcceleratorUnavailable
from face_engine.fixed_shapes import FixedShapes, OnDevice, Processor, without_capture

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_QUIET = 3  # errors only: warnings about the graph are for its author

Accelerator = Literal["auto", "cpu", "cuda"]


# what ONNX Runtime raises where a provider refuses a model or an option; they have no common base
_REFUSED = (
    onnxruntime_pybind11_state.Fail,
    onnxruntime_pybind11_state.RuntimeException,
    onnxruntime_pybind11_state.EPFail,
    onnxruntime_pybind11_state.NotImplemented,
    onnxruntime_pybind11_state.InvalidArgument,
)
_turns = threading.Lock()  # one stream, one caller; what was captured must not run twice at once


class Session:
    """One loaded model with one input."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        *,
        processor: Processor = "cpu",
        graphs: bool = False,
    ) -> None:
        self._session = session
        self._input: str = session.get_inputs()[0].name
        self._processor = processor
        self._graphs = graphs
        self._fixed = FixedShapes(session, processor=processor, graphs=graphs)

    @property
    def processor(self) -> Processor:
        """Return what it runs on."""
        return self._processor

    @property
    def captures(self) -> bool:
        """Return whether the work of fixed shapes is captured once and replayed."""
        return self._graphs

    def run(self, outputs: Sequence[str], values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return the named outputs for one input array of any shape."""
        inputs = {self._input: values}
        results: list[NDArray[np.float32]]
        if self._processor == "cpu":
            results = self._session.run(list(outputs), inputs)
            return results
        with _turns:
            options = without_capture(graphs=self._graphs)
            results = self._session.run(list(outputs), inputs, options)
            return results

    def run_fixed(self, outputs: Sequence[str], values: OnDevice) -> list[NDArray[np.float32]]:
        """Return the named outputs for an input of one of a few shapes, wherever it lies.

        On a GPU the work of each shape is captured at its first call and replayed from then on.
        """
        if self._processor == "cpu":
            return self._fixed.run(outputs, values)
        with _turns:
            return self._fixed.run(outputs, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModels:
    """Sessions by model name; `reason` says why CUDA was asked for and is not used."""

    sessions: Mapping[str, Session]
    used: Literal["cpu", "cuda"]
    reason: str | None


def open_models(
    models: Mapping[str, bytes],
    *,
    threads: int,
    accelerator: Accelerator,
    required: bool,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
    keeps_memory: bool = False,
) -> OpenedModels:
    """Open every model, all on the same processor.

    Args:
        models: serialized ONNX models by name.
        threads: CPU threads a session may use for one call.
        accelerator: "cuda" asks for a GPU, "auto" takes one if it is there, "cpu" never does.
        required: raise rather than run on the CPU.
        memory_limit: bytes of the GPU's memory that each model may take.
        keeps_memory: inputs have few shapes, so the memory of a call is kept for the next.

    Raises:
        AcceleratorUnavailable: a GPU is required and cannot be used.
    """
    missing: str | None = None
    if accelerator != "cpu":
        sessions, missing = _try_cuda(models, threads, memory_limit)
        if sessions is not None:
            return OpenedModels(sessions=sessions, used="cuda", reason=None)
    if required:
        why = missing or "this camera asks for the CPU"
        raise AcceleratorUnavailable(
            f"A GPU is required and cannot be used: {why}; install one or do not require it."
        )
    on_cpu = {
        name: Session(_open(model, threads, [_CPU], keeps_memory=keeps_memory))
        for name, model in models.items()
    }
    asked = accelerator == "cuda"
    return OpenedModels(sessions=on_cpu, used="cpu", reason=missing if asked else None)


def _try_cuda(
    models: Mapping[str, bytes], threads: int, memory_limit: int
) -> tuple[dict[str, Session] | None, str | None]:
    if _CUDA not in onnxruntime.get_available_providers():
        return None, "the installed ONNX Runtime has no CUDA support"
    runtime = cuda_runtime()
    if runtime is None:
        return None, "there is no CUDA device, driver or runtime library"
    try:
        stream = _shared_stream()
        opened = {
            name: _open_on_cuda(model, threads, stream, memory_limit)
            for name, model in models.items()
        }
    except (CudaError, *_REFUSED):
        return None, "ONNX Runtime cannot open the models on the CUDA device"
    if any(session is None for session in opened.values()):
        return None, "ONNX Runtime finds no usable CUDA device or libraries"
    return {name: session for name, session in opened.items() if session is not None}, None


@cache
def _shared_stream() -> int:
    """Return the one stream of this process that models run on."""
    runtime = cuda_runtime()
    if runtime is None:
        raise CudaError("There is no CUDA device.")
    return runtime.new_stream()


def _open_on_cuda(model: bytes, threads: int, stream: int, memory_limit: int) -> Session | None:
    """Open with CUDA graphs, or without where the model has parts that only the CPU runs."""
    for graphs in (True, False):
        options = cuda_options(stream=stream, graphs=graphs, memory_limit=memory_limit)
        try:
            session = _open(model, threads, [(_CUDA, options), _CPU])
        except _REFUSED:
            if graphs:
                continue
            raise
        if _CUDA not in session.get_providers():
            return None
        return Session(session, processor="cuda", graphs=graphs)
    return None


def _open(
    model: bytes,
    threads: int,
    providers: Sequence[str | tuple[str, dict[str, str]]],
    *,
    keeps_memory: bool = False,
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Pictures of users have any shape. A memory plan would be kept for every shape ever seen, and
    # an arena would keep what the largest picture needed. A camera's have one: without the arena
    # each call would fetch its megabytes from the system anew, a third of the detector's time.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = keeps_memory
    session = onnxruntime.InferenceSession(model, options, providers=list(providers))
    session.disable_fallback()
    return session
