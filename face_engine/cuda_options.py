"""How ONNX Runtime's CUDA provider is set up; pure, so that it is tested where there is no GPU.

`onnx_session.py` opens sessions with these, and says what came of it.
"""

from typing import Final

DEFAULT_MEMORY_LIMIT: Final = 2 * 1024**3
"""Bytes a session may take of the GPU's memory; a batch of 32 pictures of 640x640 takes a third."""


def cuda_options(*, stream: int, graphs: bool, memory_limit: int) -> dict[str, str]:
    """Return the options of the CUDA provider.

    Args:
        stream: handle of the stream that all models run on; never 0, which counts as none.
        graphs: capture the work of each fixed shape once and replay it.
        memory_limit: what the session's arena may grow to, in bytes.
    """
    if stream == 0:
        raise ValueError("stream: 0 is the default stream, which ONNX Runtime takes for none")
    if memory_limit < 1:
        raise ValueError(f"memory_limit: expected a number of bytes, got {memory_limit}")
    return {
        "device_id": "0",
        # Memory grows by what is asked for, not by doubling, and no search runs for each new shape.
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": str(memory_limit),
        "cudnn_conv_algo_search": "HEURISTIC",
        "user_compute_stream": str(stream),
        "do_copy_in_default_stream": "1",
        "enable_cuda_graph": "1" if graphs else "0",
    }
