"""Opens ONNX models on the processor that was asked for, and says which one it became.

ONNX Runtime falls back to the CPU by itself and silently; here what a session really runs on is
checked after it is opened. Threads do not spin while they wait: sessions of several cameras in one
process would steal each other's time. The detectors and `embedder.py` run the sessions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from face_engine.errors import AcceleratorUnavailable

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_QUIET = 3  # errors only: warnings about the graph are for its author

Accelerator = Literal["auto", "cpu", "cuda"]


class Session:
    """One loaded model with one input."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input: str = session.get_inputs()[0].name

    def run(self, outputs: Sequence[str], values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return the named outputs for one input array."""
        results: list[NDArray[np.float32]] = self._session.run(list(outputs), {self._input: values})
        return results


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
    keeps_memory: bool = False,
) -> OpenedModels:
    """Open every model, all on the same processor.

    Args:
        models: serialized ONNX models by name.
        threads: CPU threads a session may use for one call.
        accelerator: "cuda" asks for a GPU, "auto" takes one if it is there, "cpu" never does.
        required: raise rather than run on the CPU.
        keeps_memory: inputs have few shapes, so the memory of a call is kept for the next.

    Raises:
        AcceleratorUnavailable: a GPU is required and cannot be used.
    """
    missing: str | None = None
    if accelerator != "cpu":
        sessions, missing = _try_cuda(models, threads)
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
    models: Mapping[str, bytes], threads: int
) -> tuple[dict[str, Session] | None, str | None]:
    if _CUDA not in onnxruntime.get_available_providers():
        return None, "the installed ONNX Runtime has no CUDA support"
    provider = (
        _CUDA,
        # Memory grows by what is asked for, not by doubling, and no search runs for each new shape.
        {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"},
    )
    opened: dict[str, Session] = {}
    for name, model in models.items():
        session = _open(model, threads, [provider, _CPU])
        if _CUDA not in session.get_providers():
            return None, "ONNX Runtime finds no usable CUDA device or libraries"
        opened[name] = Session(session)
    return opened, None


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
