"""The loops that people write today to recognise faces in a video: the peers of `bench.worker`.

    python -m bench.peers.plain_worker KIND SOURCE --enrolled FILE=NAME… [--fps N]
           [--seconds N] [--detector FILE] [--embedder FILE]

Both read every frame and look at as many a second as asked for; every face of such a frame is
found, embedded and compared with everybody enrolled. Nothing is tracked and nothing is kept.

- dlib: `face_recognition` as its documentation shows it, on the frame as it comes.
- opencv: `cv2.FaceDetectorYN` as its documentation shows it, on the frame as it comes; faces
  aligned, dlib's network as ONNX. Detector and embedder are those of the worker's pack.
- opencv-640: the same by somebody who knows that the detector needs no more than 640 pixels.

SOURCE is a camera (rtsp://…), watched for --seconds, or a recording, read as fast as it can be.
Prints one JSON document: processor time, and who was named at which second of the source, whose
first frame came at `first_frame_at`.
"""

import argparse
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 0.6  # the usual distance of dlib's network
_SIDE, _WHOLE = 640, 100_000
_TEMPLATE = np.array(
    [(45.81, 45.75), (101.01, 44.77), (73.94, 77.77), (50.45, 99.83), (99.89, 97.78)], np.float32
)

Embed = Callable[[NDArray[np.uint8]], Sequence[NDArray[np.floating]]]
"""Returns an embedding of each face of an RGB picture."""


def main() -> None:
    """Run one loop over a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("opencv", "opencv-640", "dlib"))
    parser.add_argument("source")
    parser.add_argument("--enrolled", nargs="+", default=[], metavar="FILE=NAME")
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--detector", help="YuNet (opencv)")
    parser.add_argument("--embedder", help="dlib's network as ONNX (opencv)")
    asked = parser.parse_args()
    if asked.kind == "dlib":
        embed = with_dlib()
    else:
        side = _SIDE if asked.kind == "opencv-640" else _WHOLE
        embed = with_opencv(asked.detector, asked.embedder, side)
    known: list[tuple[str, NDArray[np.floating]]] = []
    for pair in asked.enrolled:
        file, _, name = pair.rpartition("=")
        picture = cv2.imread(file)
        if picture is None:
            sys.exit(f"{file} cannot be read")
        faces = embed(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
        known += [(name, face) for face in faces[:1]]
    print(json.dumps(watch(asked, embed, known)))


def watch(
    asked: argparse.Namespace,
    embed: Embed,
    known: Sequence[tuple[str, NDArray[np.floating]]],
) -> dict[str, Any]:
    """Return what the loop took and whom it named."""
    video = cv2.VideoCapture(asked.source)
    rate = video.get(cv2.CAP_PROP_FPS)
    number = looked_at = faces_seen = 0
    named: list[tuple[float, str]] = []
    due_s = 0.0
    there, frame = video.read()
    first_frame_at = time.time()
    began, cpu_began = time.perf_counter(), time.process_time()
    while there and number / rate < asked.seconds:
        at_s = number / rate
        if number:
            there, frame = video.read()
        number += 1
        if not there or at_s + 1e-6 < due_s:
            continue
        due_s += 1 / asked.fps
        looked_at += 1
        if looked_at % 50 == 0:
            print(f"{at_s:.0f} s", file=sys.stderr)
        for face in embed(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)):
            faces_seen += 1
            distances = [float(np.linalg.norm(face - other)) for _, other in known]
            if distances and min(distances) <= _TOLERANCE:
                named.append((at_s, known[int(np.argmin(distances))][0]))
    return {
        "seconds": number / rate,
        "first_frame_at": first_frame_at,
        "frames_looked_at": looked_at,
        "faces": faces_seen,
        "cpu_s": time.process_time() - cpu_began,
        "wall_s": time.perf_counter() - began,
        "named": named,
    }


def with_dlib() -> Embed:
    """Return what `face_recognition` does."""
    _stand_in_for_pkg_resources()
    import face_recognition  # noqa: PLC0415 the other loop runs without it

    def embed(picture: NDArray[np.uint8]) -> Sequence[NDArray[np.floating]]:
        places = face_recognition.face_locations(picture)
        found: list[NDArray[np.floating]] = face_recognition.face_encodings(picture, places)
        return found

    return embed


def _stand_in_for_pkg_resources() -> None:
    """Let `face_recognition_models` find its files: setuptools has dropped what it asks."""

    def resource_filename(package: str, name: str) -> str:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(package)
        return str(Path(spec.origin).parent / name)

    module: Any = types.ModuleType("pkg_resources")
    module.resource_filename = resource_filename
    sys.modules.setdefault("pkg_resources", module)


def with_opencv(detector_file: str, embedder_file: str, side: int) -> Embed:
    """Return detection with OpenCV and an embedding of each face."""
    import onnxruntime  # noqa: PLC0415 the other loop runs without it

    detector = cv2.FaceDetectorYN.create(detector_file, "", (_SIDE, _SIDE), 0.8, 0.3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # by default its threads would spin while they wait
    session = onnxruntime.InferenceSession(embedder_file, options)
    input_name = session.get_inputs()[0].name

    def embed(picture: NDArray[np.uint8]) -> Sequence[NDArray[np.floating]]:
        height, width = picture.shape[:2]
        scale = min(1.0, side / max(height, width))
        small = picture
        if scale < 1:
            small = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale), np.uint8)
        detector.setInputSize((small.shape[1], small.shape[0]))
        faces: Any = detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        found: list[NDArray[np.floating]] = []
        for face in faces if faces is not None else ():
            points = face[4:14].reshape(5, 2) / scale
            matrix, _ = cv2.estimateAffinePartial2D(points, _TEMPLATE)
            chip = cv2.warpAffine(picture, matrix, (150, 150))
            found.append(session.run(None, {input_name: chip[None]})[0][0])
        return found

    return embed


if __name__ == "__main__":
    main()
