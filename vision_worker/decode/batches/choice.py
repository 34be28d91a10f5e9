"""Chooses how a camera is decoded: by libav, or in batches where its models run on a GPU.

Decoding on a GPU is taken wherever the models run there and DALI and the GPU's decoder can be used;
where not, libav decodes, and `Decoding.reason` says why, in the log and in the worker's status.
The process makes one of these; `camera_watch.py` asks it.
"""

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from face_engine.cuda_runtime import CudaError, CudaRuntime, cuda_runtime
from face_engine.engine import input_sizes
from face_engine.packs import ModelPack
from service_runtime.structured_logging import get_logger
from vision_worker.decode.batches.batch import BatchDecoder, DecoderName
from vision_worker.decode.batches.batch_thread import BatchThread
from vision_worker.decode.batches.chunk_reader import ChunkReader
from vision_worker.decode.frame import DecodeCounts
from vision_worker.decode.newest_frames import NewestFrames
from vision_worker.decode.reader import DecodeSettings, FrameReader
from vision_worker.decode.thread_clock import ThreadClock
from vision_worker.sources.opening import Source

_log = get_logger(__name__)

_MEMORY_A_CHUNK: Final = 150 * 1024 * 1024
_SHARE: Final = 0.25  # of the free memory; the rest is for models, their inputs, and kept pictures
_WIDEST: Final = 32
_MOST_THREADS: Final = 16  # twice the decoding engines of the largest cards, and a little more


class Reader(Protocol):
    """Reads one source once: `FrameReader` by libav, `ChunkReader` in batches."""

    @property
    def counts(self) -> DecodeCounts:
        """Return what was done so far."""
        ...

    @property
    def sample_fps(self) -> float:
        """Return the rate of sampling in force, in frames a second."""
        ...

    @property
    def overloaded(self) -> bool:
        """Return whether less is looked at than was asked for."""
        ...

    @property
    def blind(self) -> bool:
        """Return whether the source sends, but has sent no whole picture for a while."""
        ...

    @property
    def stuck_s(self) -> float:
        """Return how long the thread's present step takes so far, in seconds."""
        ...

    @property
    def decoder(self) -> DecoderName:
        """Return what decodes now."""
        ...

    @property
    def decoder_reason(self) -> str:
        """Return why libav decodes although another was chosen; else empty."""
        ...

    def start(self) -> None:
        """Begin in a thread of its own."""
        ...

    def stop(self) -> None:
        """Ask the thread to end."""
        ...

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; blocks. Return whether it ended."""
        ...


class OpenReader(Protocol):
    """Makes the readers of one camera."""

    def __call__(
        self, source: Source, frames: NewestFrames, settings: DecodeSettings, clock: ThreadClock, /
    ) -> Reader:
        """Return a reader that has not begun."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How one camera is decoded.

    Attributes:
        name: what decodes.
        reason: why libav does although the models run on a GPU; None where it is as it should be.
        open_reader: makes the camera's readers.
    """

    name: DecoderName
    reason: str | None
    open_reader: OpenReader


BY_LIBAV: Final = Decoding(name="pyav", reason=None, open_reader=FrameReader)


class DecodingChoice:
    """Of one process; closed with it.

    Args:
        open_decoder: makes a batch decoder. Raises `CannotDecodeInBatches`.
    """

    def __init__(self, open_decoder: "Callable[[], BatchDecoder] | None" = None) -> None:
        self._open_decoder = open_decoder or open_gpu_decoder
        self._threads: dict[str, BatchThread] = {}
        self._guard = threading.Lock()

    def decoding_for(self, pack: ModelPack, used: Literal["cpu", "cuda"]) -> Decoding:
        """Choose for a camera whose models run on what was used; blocks while a GPU is set up."""
        if used == "cpu":
            return BY_LIBAV
        try:
            batches = self._batches_for(pack)
        except CannotDecodeInBatches as error:
            _log.warning("decode.not_on_gpu", reason=str(error))
            return replace(BY_LIBAV, reason=str(error))
        name = batches.decoder.name
        return Decoding(name=name, reason=None, open_reader=BatchReaders(batches))

    def close(self) -> None:
        """End the threads and free what they hold; blocks."""
        with self._guard:
            threads, self._threads = list(self._threads.values()), {}
        for thread in threads:
            thread.close()

    def _batches_for(self, pack: ModelPack) -> BatchThread:
        """Return the thread of this pack's detector, begun anew if it has ended."""
        with self._guard:
            batches = self._threads.get(pack.detector)
            if batches is None or not batches.alive:
                decoder = self._open_decoder()
                batches = BatchThread(decoder, lambda working: input_sizes(pack, working))
                batches.start()
                self._threads[pack.detector] = batches
                _log.info("decode.in_batches", decoder=decoder.name, width=decoder.width)
            return batches


class CannotDecodeInBatches(Exception):
    """DALI or the GPU is not there; the sentence says what is missing."""


class BatchReaders:
    """Makes the readers of one camera, and remembers what its stream is good for."""

    def __init__(self, batches: BatchThread) -> None:
        self._batches = batches
        self._unfit: str | None = None

    def __call__(
        self, source: Source, frames: NewestFrames, settings: DecodeSettings, clock: ThreadClock, /
    ) -> Reader:
        """Return a reader that has not begun."""
        return ChunkReader(
            source,
            frames,
            settings,
            clock,
            batches=self._batches,
            unfit_for_chunks=self._unfit,
            unfit=self._note_unfit,
        )

    def _note_unfit(self, why: str) -> None:
        self._unfit = why


def open_gpu_decoder() -> BatchDecoder:
    """Open DALI on the first GPU.

    Raises:
        CannotDecodeInBatches: it cannot be used.
    """
    runtime = cuda_runtime()
    if runtime is None:
        raise CannotDecodeInBatches("there is no CUDA device, driver or runtime library")
    free, _ = runtime.memory()
    return open_dali(runtime, width=batch_width(free))


def open_dali(runtime: CudaRuntime | None, *, width: int) -> BatchDecoder:
    """Open DALI on a GPU, or with no runtime on the CPU.

    Raises:
        CannotDecodeInBatches: the package is not installed, or does not work here.
    """
    if importlib.util.find_spec("nvidia") is None or (
        importlib.util.find_spec("nvidia.dali") is None
    ):
        raise CannotDecodeInBatches("NVIDIA DALI is not installed; `make setup-gpu` installs it")
    threads = min(_MOST_THREADS, max(2, os.cpu_count() or 2))
    try:
        dali = importlib.import_module("vision_worker.decode.batches.dali")
        decoder: BatchDecoder = dali.DaliDecoder(runtime=runtime, width=width, threads=threads)
    except (ImportError, OSError, RuntimeError, CudaError) as error:
        raise CannotDecodeInBatches(
            f"NVIDIA DALI does not work here ({type(error).__name__})"
        ) from None
    return decoder


def batch_width(free_bytes: int) -> int:
    """Return how many chunks fit side by side into a quarter of a GPU's free memory."""
    return max(1, min(_WIDEST, int(free_bytes * _SHARE) // _MEMORY_A_CHUNK))
