"""What is asked of CUDA, as far as that shows where there is no GPU."""

import ctypes

import numpy as np
import pytest
from numpy.typing import NDArray

from face_engine.cuda_options import cuda_options
from face_engine.cuda_runtime import CudaError, CudaRuntime


class HostMemory:
    """Answers like the CUDA runtime, for memory that is the host's own."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.streams: list[tuple[int, int]] = []

    def cudaStreamCreateWithFlags(self, stream: object, flags: int) -> int:
        handle = stream._obj  # type: ignore[attr-defined]  # what byref() holds
        handle.value = 0xBEEF
        self.streams.append((handle.value, flags))
        return self.status

    def cudaStreamSynchronize(self, stream: object) -> int:  # noqa: ARG002 - as the library has it
        return self.status

    def cudaMemGetInfo(self, free: object, total: object) -> int:
        free._obj.value, total._obj.value = 5, 7  # type: ignore[attr-defined]  # likewise
        return self.status

    def cudaGetDeviceProperties(self, properties: object, device: int) -> int:  # noqa: ARG002 - likewise
        properties._obj.value = b"A Card\0and more"  # type: ignore[attr-defined]  # likewise
        return self.status

    def cudaMemcpy2D(  # noqa: PLR0917 - likewise
        self,
        target: ctypes.c_void_p,
        target_pitch: ctypes.c_size_t,
        source: ctypes.c_void_p,
        source_pitch: ctypes.c_size_t,
        width: ctypes.c_size_t,
        height: ctypes.c_size_t,
        kind: int,
    ) -> int:
        assert kind == 2, "from the device to the host"
        assert target.value is not None
        assert source.value is not None
        for row in range(height.value):
            ctypes.memmove(
                target.value + row * target_pitch.value,
                source.value + row * source_pitch.value,
                width.value,
            )
        return self.status


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize("region", [(0, 0, 30, 20), (3, 5, 4, 6), (10, 2, 30, 19)])
def test_a_region_is_copied_and_nothing_else(
    picture: NDArray[np.uint8], region: tuple[int, int, int, int]
) -> None:
    runtime = CudaRuntime(HostMemory())
    part = runtime.copy_region(picture.ctypes.data, 30, region)
    x1, y1, x2, y2 = region
    np.testing.assert_array_equal(part, picture[y1:y2, x1:x2])


def test_failures_of_the_runtime_are_raised(picture: NDArray[np.uint8]) -> None:
    runtime = CudaRuntime(HostMemory(status=700))
    with pytest.raises(CudaError, match="700"):
        runtime.copy_region(picture.ctypes.data, 30, (0, 0, 1, 1))
    with pytest.raises(CudaError):
        runtime.new_stream()


def test_the_card_is_asked_for_its_name_and_memory() -> None:
    runtime = CudaRuntime(HostMemory())
    assert (runtime.device_name(), runtime.memory()) == ("A Card", (5, 7))


def test_the_stream_does_not_wait_for_the_default_one() -> None:
    library = HostMemory()
    assert CudaRuntime(library).new_stream() == 0xBEEF
    assert library.streams == [(0xBEEF, 1)]


def test_the_provider_gets_one_stream_a_limit_and_no_search() -> None:
    options = cuda_options(stream=0xBEEF, graphs=True, memory_limit=3 << 30)
    assert options["user_compute_stream"] == str(0xBEEF)
    assert options["gpu_mem_limit"] == str(3 << 30)
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["enable_cuda_graph"] == "1"
    assert cuda_options(stream=1, graphs=False, memory_limit=1)["enable_cuda_graph"] == "0"


@pytest.mark.parametrize(("stream", "limit"), [(0, 1), (1, 0)])
def test_options_that_mean_something_else_are_refused(stream: int, limit: int) -> None:
    with pytest.raises(ValueError, match=r"stream|memory_limit"):
        cuda_options(stream=stream, graphs=False, memory_limit=limit)
