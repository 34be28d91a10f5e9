"""What the pipeline costs beyond its parts: decoding, and the models alone.

    python -m bench.pipeline [--pack ID] [--sample-fps N] [--rounds N] [--clip FILE]
                             [--media FOLDER]

Prints one JSON document. A clip is watched by the worker's own pipeline, from decoding to crops;
only the index is left out, and nobody waits for the clip's own time to pass. Then its parts run
alone on the very inputs that it gave them: the same packets decoded with the same skipping, the
same arrays through the detector's and the embedder's networks, without pre- or post-processing.
`overhead` is the processor time of the pipeline over the sum of theirs, the first frames left out.
Decoding and the models take turns, since two cores that share caches slow each other down, which
is no work of the pipeline's; --together lets them run side by side, as they do in a worker. Rounds
alternate, and the least of each is printed beside the median, since other programs may use the
machine. Without --clip
a labelled 1080p clip is made of the media (by default DFIP_TEST_MEDIA, else ../shared); without
media nothing is measured and the exit status is 2. Nothing is asserted.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import uvloop
from numpy.typing import NDArray

from bench.sites.labelled_clip import labelled_clip
from face_engine.engine import FaceEngine, open_engine
from face_engine.fixed_shapes import OnDevice, Processor
from face_engine.onnx_session import OpenedModels, Session, open_models
from face_engine.packs import PackError, resolve_pack
from face_engine.preparation import load_models, prepare_pack
from service_runtime.secret import Secret
from tests.support.media import media_root
from tests.support.thread_clocks import RushingClock
from tests.support.virtual_clock import VirtualClock
from vision_worker.decode.frame import Frame
from vision_worker.decode.reader import DecodeSettings
from vision_worker.decode.sampling import MediaTimeline, SkipPolicy, TimeSampler
from vision_worker.models.inference import MEASURED_AT, CameraInference, Look
from vision_worker.models.inference_thread import InferenceThread
from vision_worker.pipeline import CameraPipeline, PipelineSettings
from vision_worker.sightings.decision import Candidate
from vision_worker.sightings.sighting import SightingDraft
from vision_worker.sources.opening import Sources
from vision_worker.sources.policy import SourcePolicy

_WARM = 10  # sampled frames that are not measured
_MIN_FACE_PX = 40
_EMBEDDERS = ("dlib_resnet.onnx",)
NO_MEDIA = 2


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    parser.add_argument("--pack", default="yunet-dlib", help="model pack (default yunet-dlib)")
    parser.add_argument("--sample-fps", type=float, default=5.0, help="default 5")
    parser.add_argument("--rounds", type=int, default=3, help="how often (default 3)")
    parser.add_argument(
        "--together", action="store_true", help="decode while the models run, as a worker does"
    )
    parser.add_argument("--clip", type=Path, help="a recording instead of the labelled clip")
    parser.add_argument("--media", type=Path, default=media_root(), help="folder of the test media")
    asked = parser.parse_args()
    try:
        prepare_pack(asked.pack, folders=[asked.media / "models"])
        with open_engine(asked.pack, accelerator="cpu") as engine:
            clip = asked.clip or labelled_clip(asked.media, engine).path
    except (OSError, PackError) as error:
        print(f"not run: {error}; name the media with --media", file=sys.stderr)
        return NO_MEDIA
    document = measure(clip, asked)
    print(json.dumps(document, indent=2))
    return 0


def measure(clip: Path, asked: argparse.Namespace) -> dict[str, object]:
    """Run everything and return the document."""
    pack_id, sample_fps, rounds = asked.pack, asked.sample_fps, asked.rounds
    opened = open_models(
        load_models(resolve_pack(pack_id)),
        threads=1,
        accelerator="cpu",
        required=False,
        keeps_memory=True,  # as a worker opens them
    )
    inputs = Inputs()
    recording = engine_of(pack_id, opened, lambda name, one: Recorder(name, one, inputs))
    uvloop.run(watch(clip, recording, asked, on_warm=inputs.begin))
    engine = engine_of(pack_id, opened, lambda _name, one: one)
    runs: list[dict[str, float]] = []
    last: Watched | None = None
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        last = uvloop.run(watch(clip, engine, asked))
        runs.append(
            {
                "pipeline": last.cpu_s,
                "decode": decode_alone(clip, sample_fps),
                **replay(inputs, opened),
            }
        )
    assert last is not None
    seconds = last.measured_frames / sample_fps
    parts = [name for name in runs[0] if name != "pipeline"]
    sums = [sum(run[name] for name in parts) for run in runs]
    return {
        "benchmark": "pipeline",
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "pack": pack_id,
        "sample_fps": sample_fps,
        "side_by_side": asked.together,
        "clip": clip.name,
        "camera_seconds": round(seconds, 2),
        "calls": {name: len(calls) for name, calls in inputs.calls.items()},
        "cpu_ms_a_camera_second": {
            name: round(statistics.median(run[name] for run in runs) / seconds * 1e3, 2)
            for name in ("pipeline", *parts)
        },
        "least_cpu_ms_a_camera_second": {
            name: round(min(run[name] for run in runs) / seconds * 1e3, 2)
            for name in ("pipeline", *parts)
        },
        "overhead_of_least": round(
            min(run["pipeline"] for run in runs)
            / sum(min(run[name] for run in runs) for name in parts),
            3,
        ),
        "overhead": round(
            statistics.median(run["pipeline"] / sum_ for run, sum_ in zip(runs, sums, strict=True)),
            3,
        ),
        "rounds": [round(run["pipeline"] / sum_, 3) for run, sum_ in zip(runs, sums, strict=True)],
        "stages_wall_ms_a_camera_second": last.stages,
        "sightings": last.sightings,
    }


@dataclass(slots=True)
class Inputs:
    """What the models were given, from the first measured frame on."""

    begun: bool = False
    calls: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    outputs: dict[str, Sequence[str]] = field(default_factory=dict)

    def begin(self) -> None:
        """Keep what comes from here on."""
        self.begun = True


class Recorder(Session):
    """A session that keeps its inputs, in bytes where they are whole numbers."""

    def __init__(self, name: str, inner: Session, inputs: Inputs) -> None:
        self._name = name
        self._inner = inner
        self._inputs = inputs

    @property
    def processor(self) -> Processor:
        """Return what it runs on."""
        return self._inner.processor

    def run(self, outputs: Sequence[str], values: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Keep the input and run."""
        self._keep(outputs, values)
        return self._inner.run(outputs, values)

    def run_fixed(self, outputs: Sequence[str], values: OnDevice) -> list[NDArray[np.float32]]:
        """Keep the input and run."""
        if isinstance(values, np.ndarray):
            self._keep(outputs, values)
        return self._inner.run_fixed(outputs, values)

    def _keep(self, outputs: Sequence[str], values: NDArray[Any]) -> None:
        if self._inputs.begun:
            self._inputs.calls.setdefault(self._name, []).append(values.astype(np.uint8))
            self._inputs.outputs[self._name] = list(outputs)


def engine_of(
    pack_id: str, opened: OpenedModels, change: Callable[[str, Session], Session]
) -> FaceEngine:
    """Return an engine with every session changed."""
    sessions = {name: change(name, session) for name, session in opened.sessions.items()}
    models = OpenedModels(sessions=sessions, used=opened.used, reason=opened.reason)
    return FaceEngine(resolve_pack(pack_id), models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a run of the pipeline came to, without its first frames."""

    cpu_s: float
    measured_frames: int
    stages: dict[str, float]
    sightings: int


class Turns(RushingClock):
    """The clock of the decoding thread: it makes it wait for the models, and time pass.

    No frame waits for the models or gets lost. Where they take turns, decoding stands still while
    the models run.
    """

    def __init__(self, *, together: bool) -> None:
        super().__init__()
        self._together = together
        self._sampled = threading.Semaphore(0)
        self._idle = threading.Event()
        self._idle.set()

    def monotonic(self) -> float:
        """Return the time; asked after each decoded frame."""
        if not self._together:
            self._idle.wait()
        return super().monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait for the models, and say that the time has passed."""
        self._sampled.acquire()
        return super().wait(stop, seconds)

    def begin(self) -> None:
        """Say that a frame is worked on."""
        self._idle.clear()

    def end(self) -> None:
        """Say that it is done."""
        self._idle.set()
        self._sampled.release()


class TurnTaking(CameraInference):
    """Says when a frame begins and ends."""

    turns: Turns
    on_frame: Callable[[int], None]

    async def look(self, frame: Frame, *, min_face_px: int) -> Look:
        """Find the faces of a frame."""
        self.turns.begin()
        self.on_frame(frame.index)
        try:
            return await super().look(frame, min_face_px=min_face_px)
        finally:
            asyncio.get_running_loop().call_soon(self.turns.end)


class Nobody:
    """An index that knows nobody."""

    async def identify(self, embeddings: NDArray[np.float32]) -> Sequence[tuple[Candidate, ...]]:
        """Return no candidates."""
        return [()] * len(embeddings)


async def watch(
    clip: Path,
    engine: FaceEngine,
    asked: argparse.Namespace,
    on_warm: Callable[[], None] | None = None,
) -> Watched:
    """Watch the clip once."""
    turns, drafts = Turns(together=asked.together), list[SightingDraft]()
    sample_fps = asked.sample_fps
    warm_cpu_s: list[float] = []
    stages_before: dict[str, float] = {}

    def on_frame(index: int) -> None:
        if index == _WARM:
            stages_before.update(
                {name: stage.seconds for name, stage in pipeline.stats.stages.items()}
            )
            if on_warm is not None:
                on_warm()
            warm_cpu_s.append(time.process_time())

    async def same_engine() -> FaceEngine:
        return engine

    thread = InferenceThread()
    thread.start()
    inference = TurnTaking(
        lane=thread.open_lane(),
        pack=engine.pack,
        working_side=engine.working_side(MEASURED_AT, min_face_px=_MIN_FACE_PX),
        engine=same_engine,
    )
    inference.turns, inference.on_frame = turns, on_frame
    pipeline = CameraPipeline(
        camera_id="bench",
        inference=inference,
        identity=Nobody(),
        report=drafts.append,
        count=lambda _samples: None,
        clock=VirtualClock(),
        thread_clock=turns,
        settings=PipelineSettings(
            decode=DecodeSettings(sample_fps=sample_fps), min_face_px=_MIN_FACE_PX
        ),
    )
    try:
        async with pipeline:
            sources = Sources(SourcePolicy(media_root=clip.parent))
            address = Secret(f"file:///{clip.name}?loop=false")
            await pipeline.watch(sources.source_for(address))
            cpu_s = time.process_time() - warm_cpu_s[0]
            stats = pipeline.stats
    finally:
        thread.close()
    frames = stats.frames_sampled - _WARM
    each_s = sample_fps / frames
    return Watched(
        cpu_s=cpu_s,
        measured_frames=frames,
        stages={
            name: round((stage.seconds - stages_before.get(name, 0.0)) * each_s * 1e3, 2)
            for name, stage in stats.stages.items()
        },
        sightings=len({draft.id for draft in drafts}),
    )


def decode_alone(clip: Path, sample_fps: float) -> float:
    """Decode what the pipeline decodes, with the same skipping; return the processor time."""
    sampler, taken, began = TimeSampler(sample_fps), 0, 0.0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate = stream.average_rate
        frame_s = float(1 / rate) if rate else 1 / 25
        skip = SkipPolicy(sample_period_s=sampler.period_s, frame_s=frame_s)
        timeline = MediaTimeline(frame_s)
        for packet in container.demux(stream):
            stamp = packet.pts if packet.pts is not None else packet.dts
            stamp_s = (
                float(stamp * stream.time_base)
                if stamp is not None and stream.time_base is not None
                else None
            )
            stream.codec_context.skip_frame = skip.packet(key=packet.is_keyframe, stamp_s=stamp_s)
            for frame in packet.decode():
                media_s = timeline.advance(frame.time)
                stream.codec_context.skip_frame = skip.decoded(media_s)
                if sampler.wants(media_s):
                    taken += 1
                    if taken == _WARM + 1:
                        began = time.process_time()
    return time.process_time() - began


def replay(inputs: Inputs, opened: OpenedModels) -> dict[str, float]:
    """Run the models on the inputs that they were given; return the processor time of each kind."""
    spent: dict[str, float] = {}
    for name, calls in inputs.calls.items():
        session, outputs = opened.sessions[name], inputs.outputs[name]
        kind = "embedder" if name in _EMBEDDERS else "detector"
        for call in calls:
            # YuNet's input is floating point, all others' is bytes
            values = call.astype(np.float32) if name == "yunet.onnx" else call
            began = time.process_time()
            session.run(outputs, values)
            spent[kind] = spent.get(kind, 0.0) + time.process_time() - began
    return spent


if __name__ == "__main__":
    sys.exit(main())
