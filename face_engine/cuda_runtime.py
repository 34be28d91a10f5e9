"""The few calls of the CUDA runtime that this program makes itself: a stream, copies, who is there.

ONNX Runtime and DALI bring the runtime along; here the library that is loaded already is asked, so
nothing else has to be installed and nothing is loaded where there is no GPU. `onnx_session.py`
takes its stream from here, and parts of decoded pictures (`vision_worker/decode`) are copied out.
"""

import ctypes
from functools import cache
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_LIBRARIES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_NON_BLOCKING = 1
_TO_HOST = 2
_PROPERTIES_BYTES = 16_384  # more than the structure has had in any release; the name comes first


class CudaError(Exception):
    """A call of the CUDA runtime failed; the number is the runtime's own."""


class Library(Protocol):
    """What is called in the shared library; every function answers 0 for success."""

    def cudaStreamCreateWithFlags(self, stream: object, flags: int) -> int: ...  # noqa: D102 - see CUDA's manual
    def cudaStreamSynchronize(self, stream: object) -> int: ...  # noqa: D102 - see CUDA's manual
    def cudaMemGetInfo(self, free: object, total: object) -> int: ...  # noqa: D102 - see CUDA's manual
    def cudaGetDeviceProperties(self, properties: object, device: int) -> int: ...  # noqa: D102 - see CUDA's manual
    def cudaMemcpy2D(  # noqa: D102, PLR0917 - the library's own signature
        self,
        target: ctypes.c_void_p,
        target_pitch: ctypes.c_size_t,
        source: ctypes.c_void_p,
        source_pitch: ctypes.c_size_t,
        width: ctypes.c_size_t,
        height: ctypes.c_size_t,
        kind: int,
    ) -> int: ...


class CudaRuntime:
    """The runtime of the first GPU."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def new_stream(self) -> int:
        """Return the handle of a stream that does not wait for the default one; kept for ever."""
        handle = ctypes.c_void_p()
        _require(self._library.cudaStreamCreateWithFlags(ctypes.byref(handle), _NON_BLOCKING))
        return handle.value or 0

    def wait_for(self, stream: int) -> None:
        """Block until all that was put on the stream is done."""
        _require(self._library.cudaStreamSynchronize(ctypes.c_void_p(stream)))

    def copy_region(
        self, address: int, width: int, region: tuple[int, int, int, int]
    ) -> NDArray[np.uint8]:
        """Copy a part of a picture on the GPU, and only that; blocks.

        Args:
            address: of the first pixel of a picture, rows of `width` RGB pixels without gaps.
            width: of the picture, in pixels.
            region: x1, y1, x2, y2, inside the picture.

        Returns:
            (y2 - y1, x2 - x1, 3) uint8 RGB.
        """
        x1, y1, x2, y2 = region
        part = np.empty((y2 - y1, x2 - x1, 3), np.uint8)
        row_bytes = (x2 - x1) * 3
        _require(
            self._library.cudaMemcpy2D(
                ctypes.c_void_p(part.ctypes.data),
                ctypes.c_size_t(row_bytes),
                ctypes.c_void_p(address + (y1 * width + x1) * 3),
                ctypes.c_size_t(width * 3),
                ctypes.c_size_t(row_bytes),
                ctypes.c_size_t(y2 - y1),
                _TO_HOST,
            )
        )
        return part

    def device_name(self) -> str:
        """Return the name of the first GPU, such as `NVIDIA H100 80GB HBM3`."""
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        _require(self._library.cudaGetDeviceProperties(ctypes.byref(properties), 0))
        return properties.value.decode(errors="replace")

    def memory(self) -> tuple[int, int]:
        """Return the free and the whole memory of the GPU in bytes."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        _require(self._library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)))
        return free.value, total.value


@cache
def cuda_runtime() -> CudaRuntime | None:
    """Return the CUDA runtime of this process, or None where no GPU can be used."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return None
    onnxruntime.preload_dlls()  # from the packages; the system's where there are none
    for name in _LIBRARIES:
        try:
            runtime = CudaRuntime(ctypes.CDLL(name))
            runtime.memory()  # fails where there is a library and no device or driver
        except (OSError, AttributeError, CudaError):
            continue
        return runtime
    return None


def _require(status: int) -> None:
    if status != 0:
        raise CudaError(f"The CUDA runtime failed with error {status}.")
