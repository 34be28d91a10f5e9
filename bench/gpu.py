"""What one GPU does for cameras: decoding, detector, embedder, the whole chain, streams a card.

    python -m bench.gpu [--cpu] [--clip FILE] [--models DIR] [--size 1920x1080] [--seconds S]

Prints one JSON document and ends with 0. On a machine without a GPU `gpu` is null, `why` says what
is missing, and nothing is measured; with ``--cpu`` the same graphs run on the CPU instead, on a VP9
clip, which shows that they run and not what a GPU does. Decoding in chunks needs NVIDIA DALI
(`make setup-gpu`, for ``--cpu`` `make test-dali`). Without ``--clip`` it makes its own: a face that
moves through an H.264 video with a key frame a second. ``checks`` compares what the GPU gives with
what the CPU gives, on the same pictures; differences are shown, nothing is asserted.

``streams`` is how many cameras of the clip's size, rate and key frames the chain keeps up with, at
5 looked-at frames a second each.
"""

import argparse
import importlib.metadata
import io
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from face_engine.cuda_runtime import cuda_runtime
from face_engine.engine import FaceEngine, open_engine
from face_engine.errors import PackError
from face_engine.pictures import decode_picture
from face_engine.preparation import prepare_pack
from vision_worker.decode.batches.batch import MOST_PICTURES, BatchDecoder, WantedFrames
from vision_worker.decode.batches.choice import CannotDecodeInBatches, open_dali, open_gpu_decoder
from vision_worker.decode.batches.chunks import (
    Arrival,
    Chunk,
    ChunkCollector,
    ChunksTooLong,
    UnusableChunk,
    own_packets,
    pack_chunk,
    shown,
)
from vision_worker.decode.batches.prepared import PreparedBatch
from vision_worker.decode.picture import Picture
from vision_worker.decode.sampling import TimeSampler

_LOOKED_AT_FPS = 5.0
_WORKING = 640
_CLIP_S = 4
_CLIP_FPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """A clip in chunks: what each holds and which of its pictures are looked at."""

    wanted: Sequence[WantedFrames]
    seconds: float
    pictures: int
    size: tuple[int, int]
    codec: str

    @property
    def chunk_s(self) -> float:
        return self.seconds / len(self.wanted)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="run the graphs on the CPU")
    parser.add_argument("--clip", type=Path, help="an H.264 or H.265 file (with --cpu VP9)")
    parser.add_argument("--models", type=Path, help="folder of YuNet's file, if it is in no cache")
    parser.add_argument("--pack", default="yunet-dlib", help="model pack (default yunet-dlib)")
    parser.add_argument("--size", help="of its own clip (default 1920x1080, with --cpu 640x360)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    asked = parser.parse_args()
    print(json.dumps(measure(asked), indent=2))


def measure(asked: argparse.Namespace) -> dict[str, object]:
    """Return the whole document."""
    runtime = cuda_runtime()
    free, total = runtime.memory() if runtime is not None else (0, 0)
    document: dict[str, object] = {
        "benchmark": "gpu",
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "gpu": runtime and {"name": runtime.device_name(), "bytes": total, "free_bytes": free},
        "versions": {name: _version(name) for name in _PACKAGES},
    }
    if runtime is None and not asked.cpu:
        document["why"] = (
            "This machine has no NVIDIA GPU that can be used, or ONNX Runtime has no CUDA support;"
            " `make setup-gpu` installs it. Nothing was measured; --cpu runs the graphs on the CPU."
        )
        return document
    where = "cpu" if asked.cpu else "cuda"
    document["ran_on"] = where
    clip = _clip(asked)
    document["clip"] = {
        "size": clip.size,
        "codec": clip.codec,
        "seconds": clip.seconds,
        "key_frame_every_s": round(clip.chunk_s, 3),
        "looked_at_fps": _LOOKED_AT_FPS,
    }
    try:
        decoder = open_dali(None, width=4) if asked.cpu else open_gpu_decoder()
    except CannotDecodeInBatches as error:
        document["why"] = f"Nothing was decoded: {error}."
        return document
    try:
        document["decode"] = _decoding(decoder, clip, asked.seconds)
        with _engine(asked, where) as engine:
            document["models"] = {
                "pack": engine.pack.pack_id,
                "used": engine.accelerator_used,
                "reason": engine.accelerator_reason,
                "captured": engine.captures,
            }
            document["detector"] = _detecting(decoder, clip, engine, asked.seconds)
            document["embedder"] = _embedding(engine, asked.seconds)
            document["chain"] = _chain(decoder, clip, engine, asked.seconds)
            document["checks"] = _checks(decoder, clip, engine, asked)
    except PackError as error:
        document["why"] = str(error)
    finally:
        decoder.close()
    if runtime is not None:
        document["bytes_taken_at_most"] = free - runtime.memory()[0]
    return document


_PACKAGES = ("nvidia-dali-cuda130", "onnxruntime-gpu", "onnxruntime", "av", "numpy")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _engine(asked: argparse.Namespace, where: str) -> FaceEngine:
    prepare_pack(asked.pack, folders=[asked.models] if asked.models else [])
    return open_engine(asked.pack, accelerator="cpu" if where == "cpu" else "cuda")


def _decoding(decoder: BatchDecoder, clip: _Clip, seconds: float) -> list[dict[str, object]]:
    """Decode batches of different widths; NVDEC decodes every picture, whatever is looked at."""
    found: list[dict[str, object]] = []
    for width in [width for width in (1, 2, 4, 8, 16, 32) if width <= decoder.width]:
        batch = _batch(clip, width)
        a_second = _rate(partial(_decoded, decoder, batch), seconds)
        chunks = a_second * width
        pictures = clip.pictures / len(clip.wanted)
        found.append(
            {
                "chunks_side_by_side": width,
                "chunks_per_s": round(chunks, 1),
                "decoded_pictures_per_s": round(chunks * pictures, 1),
                "streams": round(chunks * clip.chunk_s, 1),
            }
        )
    return found


def _detecting(
    decoder: BatchDecoder, clip: _Clip, engine: FaceEngine, seconds: float
) -> list[dict[str, object]]:
    """Prepare and search batches of decoded pictures."""
    pictures = _decoded(decoder, _batch(clip, 1))
    working, sizes = _working(clip.size), engine.input_sizes(_working(clip.size))
    found: list[dict[str, object]] = []
    for count in (1, 8, MOST_PICTURES):
        batch = [pictures[at % len(pictures)] for at in range(count)]
        prepare = _rate(partial(decoder.prepare, batch, working, sizes), seconds)
        made = decoder.prepare(batch, working, sizes)
        entry: dict[str, object] = {
            "pictures": count,
            "prepared_per_s": round(prepare * count, 1),
            "searched_per_s": None,
        }
        if sizes:
            search = _rate(partial(engine.detect_prepared, made.inputs, working, count), seconds)
            entry["searched_per_s"] = round(search * count, 1)
        found.append(entry)
    return found


def _embedding(engine: FaceEngine, seconds: float) -> list[dict[str, object]]:
    side = engine.pack.alignment.chip_px
    chips = np.random.default_rng(0).integers(0, 256, (16, side, side, 3), np.uint8)
    found: list[dict[str, object]] = []
    for count in (1, 4, 16):
        a_second = _rate(partial(engine.embed, chips[:count]), seconds)
        found.append({"faces": count, "embedded_per_s": round(a_second * count, 1)})
    return found


def _chain(
    decoder: BatchDecoder, clip: _Clip, engine: FaceEngine, seconds: float
) -> dict[str, object]:
    """Decode, prepare, search, cut and embed one face a chunk: what a camera costs."""
    width = decoder.width
    batch = _batch(clip, width)
    faces = 0

    def once() -> None:
        nonlocal faces
        pictures = _decoded(decoder, batch)
        working, sizes = _working(clip.size), engine.input_sizes(_working(clip.size))
        chips = []
        for start in range(0, len(pictures), MOST_PICTURES):
            part = pictures[start : start + MOST_PICTURES]
            made = decoder.prepare(part, working, sizes)
            prepared = PreparedBatch(made.inputs, working, len(part))
            for row, picture in enumerate(part):
                found = prepared.found(engine, row)
                if found is None:
                    found = engine.detect(made.images[row])
                if len(found) and row % _PICTURES_AN_EMBEDDING == 0:
                    scale = picture.size[0] / working[0]
                    chips.append(_chip(engine, picture, found.points[0] * scale))
        if chips:
            faces += len(chips)
            engine.embed(np.concatenate(chips))

    a_second = _rate(once, seconds)
    chunks = a_second * width
    return {
        "chunks_side_by_side": width,
        "looked_at_per_s": round(chunks * len(clip.wanted[0].positions), 1),
        "streams": round(chunks * clip.chunk_s, 1),
        "faces_embedded": faces,
    }


_PICTURES_AN_EMBEDDING = 5


def _chip(engine: FaceEngine, picture: Picture, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    x1, y1, x2, y2 = engine.footprint(points)
    width, height = picture.size
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    part = picture.region(x1, y1, x2, y2)
    return engine.align(part, points[None] - np.array([x1, y1], np.float32))


def _checks(
    decoder: BatchDecoder, clip: _Clip, engine: FaceEngine, asked: argparse.Namespace
) -> dict[str, object]:
    """Compare with libav, and with the same models on the CPU."""
    one = clip.wanted[0]
    pictures = _decoded(decoder, [one])
    with av.open(io.BytesIO(one.chunk.data), "r") as container:
        frames = list(container.decode(video=0))
    differences = [
        _mean_difference(picture.region(0, 0, *picture.size), frames[at].to_ndarray(format="rgb24"))
        for at, picture in zip(one.positions, pictures, strict=True)
    ]
    width, height = clip.size
    part = (width // 3, height // 3, width // 2, height // 2)
    whole = pictures[0].region(0, 0, width, height)
    working, sizes = _working(clip.size), engine.input_sizes(_working(clip.size))
    made = decoder.prepare(pictures, working, sizes)
    checks: dict[str, object] = {
        "mean_difference_from_libav": round(max(differences), 3),
        "region_is_exact": bool(
            np.array_equal(pictures[0].region(*part), whole[part[1] : part[3], part[0] : part[2]])
        ),
    }
    chips = np.random.default_rng(1).integers(
        0, 256, (5, *[engine.pack.alignment.chip_px] * 2, 3), np.uint8
    )
    with open_engine(asked.pack, accelerator="cpu") as on_cpu:
        together, alone = engine.embed(chips), on_cpu.embed(chips)
        checks["least_cosine_of_embeddings_to_cpu"] = round(
            float((together * alone).sum(1).min()), 6
        )
        checks["replayed_embeddings_are_equal"] = bool(
            np.allclose(engine.embed(chips), together, atol=1e-5)
        )
        if sizes:
            found = engine.detect_prepared(made.inputs, working, len(pictures))
            expected = [on_cpu.detect(image) for image in made.images]
            checks["faces"] = [len(faces) for faces in found]
            checks["faces_on_cpu"] = [len(faces) for faces in expected]
            same = [
                float(np.abs(faces.boxes - others.boxes).max())
                for faces, others in zip(found, expected, strict=True)
                if len(faces) == len(others) > 0
            ]
            checks["largest_difference_of_boxes_px"] = round(max(same), 3) if same else None
    return checks


def _mean_difference(one: NDArray[np.uint8], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def _decoded(decoder: BatchDecoder, batch: Sequence[WantedFrames]) -> list[Picture]:
    pictures: list[Picture] = []
    for outcome in decoder.decode(batch):
        if isinstance(outcome, UnusableChunk):
            raise SystemExit(f"The clip cannot be decoded here: {outcome}")
        pictures += outcome
    return pictures


def _working(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _WORKING / max(size))
    return round(size[0] * scale), round(size[1] * scale)


def _batch(clip: _Clip, width: int) -> list[WantedFrames]:
    return [clip.wanted[at % len(clip.wanted)] for at in range(width)]


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Return calls a second, after two that do not count."""
    work()
    work()
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or calls < 3:
        work()
        calls += 1
    return calls / (time.perf_counter() - began)


def _clip(asked: argparse.Namespace) -> _Clip:
    if asked.clip is not None:
        return _chunked(asked.clip.read_bytes())
    usual = "640x360" if asked.cpu else "1920x1080"
    width, height = (int(side) for side in (asked.size or usual).split("x"))
    return _chunked(_make_clip((width, height), "libvpx-vp9" if asked.cpu else "libx264"))


def _chunked(data: bytes) -> _Clip:
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        collector, now = ChunkCollector(), datetime.now(UTC)
        packets = (packet for packet in container.demux(stream) if packet.size)
        try:
            groups = [collector.add(Arrival(packet=packet, at=now)) for packet in packets]
        except ChunksTooLong:
            raise SystemExit(
                "The clip has too few key frames: encode it with one a second."
            ) from None
        groups.append(collector.rest())
        sampler, wanted, pictures = TimeSampler(_LOOKED_AT_FPS), [], 0
        for group in groups:
            if group:
                one = _wanted(stream, group, sampler)
                wanted.append(one)
                pictures += one.chunk.pictures
        rate = float(stream.average_rate or _CLIP_FPS)
        context = stream.codec_context
        return _Clip(
            wanted=wanted,
            seconds=pictures / rate,
            pictures=pictures,
            size=(context.width, context.height),
            codec=stream.codec.canonical_name,
        )


def _wanted(stream: VideoStream, group: Sequence[Arrival], sampler: TimeSampler) -> WantedFrames:
    own = own_packets(group)
    times = [one.stamp_s or 0.0 for one in shown(own)]
    positions = tuple(at for at, when in enumerate(times) if sampler.wants(when))
    chunk: Chunk = pack_chunk(stream, own)
    return WantedFrames(chunk=chunk, positions=positions or (0,))


def _make_clip(size: tuple[int, int], codec: str) -> bytes:
    """Encode somebody who moves through a noisy picture, with a key frame a second."""
    found = find_spec("skimage")
    assert found is not None
    assert found.submodule_search_locations is not None
    photograph = Path(found.submodule_search_locations[0]) / "data" / "astronaut.png"
    face = decode_picture(photograph.read_bytes())[:300, 80:380]
    width, height = size
    noise = np.random.default_rng(0).integers(60, 120, (height, width, 3), np.uint8)
    target = io.BytesIO()
    quick = {"deadline": "realtime", "cpu-used": "8"}
    options = quick if codec == "libvpx-vp9" else {"preset": "ultrafast"}
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=_CLIP_FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size, stream.bit_rate = _CLIP_FPS, 4_000_000
        for number in range(_CLIP_S * _CLIP_FPS):
            picture = noise.copy()
            left = (width - 320) * number // (_CLIP_S * _CLIP_FPS)
            picture[20:320, left : left + 300] = face
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


if __name__ == "__main__":
    main()
