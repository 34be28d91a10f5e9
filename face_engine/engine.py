"""One loaded model pack at work: detect, align, assess and embed faces of RGB pictures.

The vision worker calls the steps one by one; photographs go through `analyze`. Nothing is kept
between calls, and calls may come from several threads. Models come checked from `preparation.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from face_engine.aligner import align_faces, footprint
from face_engine.detectors.mtcnn import MtcnnDetector
from face_engine.detectors.prepared import BatchDetector, InputSize, PreparedInput
from face_engine.detectors.yunet import YuNetDetector
from face_engine.detectors.yunet import input_sizes as yunet_input_sizes
from face_engine.embedder import DlibEmbedder
from face_engine.onnx_session import Accelerator, OpenedModels, Session, open_models
from face_engine.packs import ModelPack, resolve_pack
from face_engine.preparation import load_models
from face_engine.quality import assess_faces, assess_outlines
from face_engine.values import AnalyzedFace, Detections, Quality, Verdict

_SMALLEST_FACE_PX = 12
_LONGEST_SIDE_PX = 32_000


class Detector(Protocol):
    """Finds faces in one picture; MTCNN and YuNet are the implementations."""

    def detect(self, image_rgb: NDArray[np.uint8], *, min_face_px: float) -> Detections:
        """Return faces with finite boxes and points, in pixels of the picture."""
        ...

    def working_side(self, longest_side: int, *, min_face_px: float) -> int:
        """Return to which longest side a picture can be scaled without losing faces."""
        ...


class FaceEngine:
    """The models of one pack; `open_engine` makes it, and `close` or `with` frees it.

    Args:
        batches: the detector answers batches as it answers single pictures.
    """

    def __init__(self, pack: ModelPack, models: OpenedModels, *, batches: bool = True) -> None:
        self.pack = pack
        self._models = models
        self._detector: Detector | None = _detector(pack, models.sessions)
        self._batches: BatchDetector | None = None
        if batches and isinstance(self._detector, YuNetDetector):
            self._batches = self._detector
        self._embedder: DlibEmbedder | None = DlibEmbedder(
            models.sessions, mirror_averaged=pack.mirror_averaged
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the models; any later call raises `RuntimeError`."""
        self._detector = self._batches = self._embedder = None
        self._models = OpenedModels(sessions={}, used=self._models.used, reason=self._models.reason)

    @property
    def accelerator_used(self) -> Literal["cpu", "cuda"]:
        """Return what the models run on."""
        return self._models.used

    @property
    def accelerator_reason(self) -> str | None:
        """Return why CUDA was asked for and is not used; None if it is, or was not asked for."""
        return self._models.reason

    @property
    def captures(self) -> tuple[str, ...]:
        """Return the models whose work on the GPU is captured once a shape and replayed."""
        return tuple(name for name, one in self._models.sessions.items() if one.captures)

    def working_side(self, longest_side: int, *, min_face_px: float) -> int:
        """Return the longest side at which pictures are best given to `detect`, one of a few.

        Args:
            longest_side: of the pictures at which faces are measured.
            min_face_px: the lowest face that matters, in pixels of such a picture; where pictures
                are scaled, `detect` wants it scaled likewise.
        """
        if self._detector is None:
            raise RuntimeError("the face engine is closed")
        return self._detector.working_side(longest_side, min_face_px=min_face_px)

    def detect(self, image_rgb: NDArray[np.uint8], *, min_face_px: float = 40) -> Detections:
        """Find faces.

        Args:
            image_rgb: (h, w, 3) uint8.
            min_face_px: faces whose box is lower than this are left out; at least 12.

        Returns:
            Detections in pixels of the picture, best score first.
        """
        _require_picture(image_rgb)
        if self._detector is None:
            raise RuntimeError("the face engine is closed")
        smallest = max(min_face_px, _SMALLEST_FACE_PX)
        found = self._detector.detect(np.ascontiguousarray(image_rgb), min_face_px=smallest)
        return at_least(found, smallest)

    def input_sizes(self, working: tuple[int, int]) -> tuple[InputSize, ...]:
        """Return what `detect_prepared` wants for pictures of a working width and height.

        None where the pack's detector takes only one picture at a time.
        """
        return input_sizes(self.pack, working) if self._batches is not None else ()

    def detect_prepared(
        self, inputs: tuple[PreparedInput, ...], working: tuple[int, int], count: int
    ) -> list[Detections]:
        """Find the faces of pictures that were made ready elsewhere.

        Args:
            inputs: one for each of `input_sizes`, in its order.
            working: width and height of the pictures.
            count: how many pictures; what follows in the inputs is padding.

        Returns:
            Detections of each in pixels of the working size, best score first; faces of any size
            from 12 pixels, see `at_least`.
        """
        if self._batches is None:
            raise RuntimeError("the face engine is closed, or its detector takes no batches")
        found = self._batches.detect_prepared(inputs, working, count)
        return [at_least(faces, _SMALLEST_FACE_PX) for faces in found]

    def align(self, image_rgb: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Cut aligned chips: (n, 5, 2) points to (n, s, s, 3) uint8 RGB, s the pack's chip size."""
        _require_picture(image_rgb)
        return align_faces(image_rgb, points, self.pack.alignment)

    def footprint(self, points: NDArray[np.float32]) -> tuple[int, int, int, int]:
        """Return the part of a picture, x1, y1, x2, y2, that `align` reads for (5, 2) points.

        It may reach beyond the picture.
        """
        return footprint(points, self.pack.alignment)

    def assess(
        self, detections: Detections, chips: NDArray[np.uint8], picture_size: tuple[int, int]
    ) -> list[Quality]:
        """Say how well each face can be recognised.

        Args:
            detections: n faces.
            chips: (n, s, s, 3) from `align`.
            picture_size: width and height in pixels.
        """
        size = (picture_size[1], picture_size[0])
        return assess_faces(detections, chips, size, self.pack.alignment)

    def assess_outlines(
        self, detections: Detections, picture_size: tuple[int, int]
    ) -> list[tuple[float, Verdict]]:
        """Return the highest score and verdict that `assess` can give each face; needs no chips."""
        return assess_outlines(detections, (picture_size[1], picture_size[0]))

    def embed(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed aligned chips.

        Args:
            chips: (n, s, s, 3) uint8 RGB from `align`.

        Returns:
            (n, d) float32 of unit length in the pack's comparison space: the dot product of two is
            the pack's score.
        """
        side = self.pack.alignment.chip_px
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != (side, side, 3):
            expected = f"(n, {side}, {side}, 3) uint8"
            raise ValueError(f"chips: expected {expected}, got {chips.shape} {chips.dtype}")
        if self._embedder is None:
            raise RuntimeError("the face engine is closed")
        return self.pack.space.place(self._embedder.raw(chips))

    def analyze(self, image_rgb: NDArray[np.uint8], *, min_face_px: int = 20) -> list[AnalyzedFace]:
        """Do all of it for a photograph; the widest face comes first."""
        found = self.detect(image_rgb, min_face_px=min_face_px)
        found = found.select(np.argsort(found.boxes[:, 0] - found.boxes[:, 2], kind="stable"))
        chips = self.align(image_rgb, found.points)
        height, width = image_rgb.shape[:2]
        qualities = self.assess(found, chips, (width, height))
        embeddings = self.embed(chips)
        return [
            AnalyzedFace(
                box=found.boxes[at],
                points=found.points[at],
                score=float(found.scores[at]),
                quality=qualities[at],
                embedding=embeddings[at],
                chip=chips[at],
            )
            for at in range(len(found))
        ]


def open_engine(
    pack_id: str,
    *,
    threads: int = 1,
    accelerator: Accelerator = "auto",
    accelerator_required: bool = False,
    keeps_memory: bool = False,
    cache: Path | None = None,
) -> FaceEngine:
    """Load a prepared pack.

    Args:
        pack_id: one of `known_packs()`.
        threads: CPU threads for one call; OpenCV's own pool, one a process, gets as many.
        accelerator: "auto", "cpu" or "cuda"; see `FaceEngine.accelerator_used`.
        accelerator_required: raise rather than run on the CPU.
        keeps_memory: for the pictures of cameras, which have few sizes: faster, but what the
            largest picture needed stays taken.
        cache: where prepared packs are; by default the user's cache.

    Raises:
        PackUnknown, PackNotPrepared, PackFileCorrupt: the pack cannot be loaded.
        AcceleratorUnavailable: a GPU is required and cannot be used.
    """
    cv2.setNumThreads(threads)  # it would take every core, and fight the models for them
    pack = resolve_pack(pack_id)
    models = open_models(
        load_models(pack, cache=cache),
        threads=threads,
        accelerator=accelerator,
        required=accelerator_required,
        keeps_memory=keeps_memory,
    )
    return FaceEngine(pack, models, batches=_answers_batches(pack, models))


def _answers_batches(pack: ModelPack, models: OpenedModels) -> bool:
    """Try on a GPU whether the detector answers a batch as it answers each picture alone."""
    if models.used == "cpu" or pack.detector != "yunet":
        return True  # these models answer so on a CPU; the tests say it
    return YuNetDetector(models.sessions).answers_batches()


def input_sizes(pack: ModelPack, working: tuple[int, int]) -> tuple[InputSize, ...]:
    """Return what the pack's detector wants in batches of pictures of a working size, if any."""
    return yunet_input_sizes(working) if pack.detector == "yunet" else ()


def at_least(found: Detections, smallest_px: float) -> Detections:
    """Return the faces whose box is no lower than that, and whose numbers mean something."""
    high = found.boxes[:, 3] - found.boxes[:, 1] >= smallest_px
    wide = found.boxes[:, 2] > found.boxes[:, 0]
    finite = np.isfinite(found.points).all(axis=(1, 2)) & np.isfinite(found.boxes).all(axis=1)
    return found.select(high & wide & finite)


def _detector(pack: ModelPack, sessions: Mapping[str, Session]) -> Detector:
    match pack.detector:
        case "mtcnn":
            return MtcnnDetector(sessions)
        case "yunet":
            return YuNetDetector(sessions)


def _require_picture(image: NDArray[np.uint8]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected (h, w, 3) uint8, got {image.shape} {image.dtype}")
    if min(image.shape[:2]) < 1 or max(image.shape[:2]) > _LONGEST_SIDE_PX:
        raise ValueError(f"image: expected sides of 1 to {_LONGEST_SIDE_PX}, got {image.shape}")
