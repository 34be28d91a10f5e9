"""What it costs to look at cameras: nothing while nobody does, and how much it holds up detection.

    python -m bench.looking [--cameras N] [--seconds S]

Prints one JSON document. ``tap_ns`` is what a frame costs the pipeline while nobody looks.
``picture_ms`` is one annotated picture of a 1080p frame, by its longest side. Then N cameras (4) at
1080p are looked at by the detector at 5 frames a second each, for S seconds (6) a case: with nobody
there, with three people at each camera, with those drawn by the thread of the models in place of
their own, and with one that wants the largest. ``detect_p50_ms`` and ``detect_p95_ms`` are from a
frame to its faces, waiting included; ``pictures_per_s`` is what was drawn. Nothing is asserted.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TypeVar

import numpy as np

from cli.demo.clip_maker import astronaut_photo
from face_engine.engine import FaceEngine, open_engine
from face_engine.pictures import decode_picture
from face_engine.preparation import prepare_pack
from service_runtime.clock import SystemClock
from tests.support.inference import inference_with
from tests.support.pictures import decoded_picture
from vision_worker.decode.frame import Frame
from vision_worker.looking.drawing import render
from vision_worker.looking.onlookers import SIDES, Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import DrawnPicture, Form, Scene, ShownFace, Zone
from vision_worker.models.inference import CameraInference

T = TypeVar("T")

FPS = 5.0
FACES = tuple(
    ShownFace(
        box=(0.1 + 0.2 * at, 0.3, 0.08, 0.2),
        quality=0.7,
        decision="match",
        person_id=str(at),
        name=f"Person {at}",
        score=0.7,
    )
    for at in range(4)
)
ZONES = (Zone(name="Door", polygon=((0.1, 0.5), (0.5, 0.5), (0.5, 0.95), (0.1, 0.95))),)
LIVE, LARGEST = Form(longest_side=960, annotated=True), Form(longest_side=1920, annotated=True)


class InTheModelsThread(PictureThread):
    """Draws in the thread of the models, between two frames."""

    def __init__(self, inference: CameraInference) -> None:
        self._inference = inference

    async def run(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the thread."""
        return await self._inference.run(work)

    def close(self) -> None:
        """Do nothing: the thread is somebody else's."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one case showed; times in seconds."""

    detect_s: list[float] = field(default_factory=list)
    pictures: int = 0
    cpu_s: float = 0.0
    late: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.looking", description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    prepare_pack("builtin")
    engine = open_engine("builtin", accelerator="cpu")
    report = {
        "benchmark": "looking",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "load": [round(one, 2) for one in os.getloadavg()],
            "processor": platform.processor() or platform.machine(),
        },
        "tap_ns": round(tap_s() * 1e9, 1),
        "picture_ms": {side: round(picture_s(side) * 1e3, 1) for side in SIDES[:-1]},
        "cameras": arguments.cameras,
        "cases": {
            name: asyncio.run(watch(engine, arguments, form=form, viewers=viewers, apart=apart))
            for name, form, viewers, apart in (
                ("nobody", LIVE, 0, True),
                ("three a camera", LIVE, 3, True),
                ("three a camera, drawn by the models' thread", LIVE, 3, False),
                ("one a camera, 1920", LARGEST, 1, True),
            )
        },
    }
    engine.close()
    print(json.dumps(report, indent=2))


def tap_s(times: int = 200_000) -> float:
    """Return the seconds that a frame costs while nobody looks."""
    onlookers: Onlookers | None = Onlookers(thread=PictureThread(), clock=SystemClock())
    began = time.perf_counter()
    for _ in range(times):
        if onlookers is not None and onlookers.here:
            raise AssertionError("nobody looks")
    return (time.perf_counter() - began) / times


def picture_s(side: int, times: int = 12) -> float:
    """Return the median seconds of an annotated picture."""
    scene = Scene(frame=photographed(), faces=FACES, zones=ZONES)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        render(scene, Form(longest_side=side, annotated=True))
        took.append(time.perf_counter() - began)
    return median(took)


def photographed() -> Frame:
    """Return a 1080p frame with a face, as a decoder gives it."""
    photo = decode_picture(astronaut_photo().read_bytes())
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[:512, :512] = photo[:512, :512]
    image[512:1024, 900:1412] = photo[:512, :512]
    picture = decoded_picture(image, "yuv420p")
    return Frame(
        image=picture.scaled(640),
        picture=picture,
        captured_at=datetime.now(UTC),
        media_s=0.0,
        index=0,
        cut=False,
    )


async def watch(
    engine: FaceEngine, arguments: argparse.Namespace, *, form: Form, viewers: int, apart: bool
) -> dict[str, float]:
    """Have all cameras looked at by the detector, and by people, for a while."""
    outcome, clock = Outcome(), SystemClock()
    with inference_with(engine) as inference:
        thread = PictureThread() if apart else InTheModelsThread(inference)
        cameras = [Onlookers(thread=thread, clock=clock) for _ in range(arguments.cameras)]
        streams = [one.watch(form, 0) for one in cameras for _ in range(viewers)]
        people = [asyncio.create_task(look(stream)) for stream in streams]
        frame = photographed()
        began, cpu = asyncio.get_running_loop().time(), time.process_time()
        await asyncio.gather(
            *(
                detect(inference, one, frame, times(began, at, arguments), outcome)
                for at, one in enumerate(cameras)
            )
        )
        lasted_s = asyncio.get_running_loop().time() - began
        outcome.cpu_s = time.process_time() - cpu
        outcome.pictures = sum(one.drawn for one in cameras)
        for task in people:
            task.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        for stream in streams:
            await stream.aclose()
        thread.close()
    ordered = sorted(outcome.detect_s)
    return {
        "frames_per_s": round(len(ordered) / lasted_s, 1),
        "late_frames": outcome.late,
        "detect_p50_ms": round(median(ordered) * 1e3, 1),
        "detect_p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1e3, 1),
        "pictures_per_s": round(outcome.pictures / lasted_s, 1),
        "cpu_cores": round(outcome.cpu_s / lasted_s, 2),
    }


def times(began: float, at: int, arguments: argparse.Namespace) -> list[float]:
    """Return when the frames of a camera are due; cameras take turns."""
    frames = int(arguments.seconds * FPS)
    return [began + (number + at / arguments.cameras) / FPS for number in range(frames)]


async def detect(
    inference: CameraInference,
    onlookers: Onlookers,
    frame: Frame,
    dues: Sequence[float],
    outcome: Outcome,
) -> None:
    """Be one camera: a frame at each of its times, looked at by the detector and by people."""
    loop = asyncio.get_running_loop()
    for due in dues:
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        elif loop.time() - due > 1 / FPS:
            outcome.late += 1
        began = time.perf_counter()
        await inference.look(frame, min_face_px=40)
        outcome.detect_s.append(time.perf_counter() - began)
        if onlookers.here:
            onlookers.show(frame, FACES)


async def look(stream: AsyncGenerator[DrawnPicture]) -> None:
    """Be somebody who looks."""
    with contextlib.suppress(asyncio.CancelledError):
        async for _picture in stream:
            pass


if __name__ == "__main__":
    main()
