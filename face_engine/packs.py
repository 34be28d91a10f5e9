"""What a model pack is, and the packs this program knows.

A pack is a small manifest: which files with which digests under which licence, how a face is
aligned, which space its embeddings are compared in and what the thresholds are there. Embeddings
of different packs are never compared. `preparation.py` makes a pack's models, `engine.py` runs
them, and `dlib_space.py` says how outputs of dlib's network are compared and where the thresholds
come from.

A quantised variant (`quantization.py` makes it) is a pack of its own. What it computes is near to
what its base computes, but depends on the pictures that it was calibrated with, so the variants of
two machines differ, and a threshold that was calibrated for one says nothing of the other. Its name
holds the first digits of its model's digest: the same name is the same model everywhere.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from face_engine.dlib_space import (
    DLIB_MARGIN,
    DLIB_MATCH,
    DLIB_REVIEW,
    DLIB_SPACE,
    ComparisonSpace,
)
from face_engine.errors import PackError, PackFileCorrupt, PackNotPrepared, PackUnknown

__all__ = [
    "Alignment",
    "ComparisonSpace",
    "ModelFile",
    "ModelPack",
    "PackError",
    "PackFileCorrupt",
    "PackNotPrepared",
    "PackUnknown",
    "SourceFile",
    "Thresholds",
    "known_packs",
    "resolve_pack",
    "variant_of",
]

DetectorKind = Literal["mtcnn", "yunet"]
EmbedderKind = Literal["dlib_resnet"]
Conversion = Literal["mtcnn_p", "mtcnn_r", "mtcnn_o", "dlib_resnet", "yunet", "int8"]

_CONVERTER_VERSION = 1
"""Raise it when a converter writes different models from the same files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that a pack is made from; its name is the one to look for.

    Attributes:
        package: the installed package that holds it below `folder`; None for a file that the
            operator puts into DFIP_MODEL_DIR or the cache.
    """

    name: str
    sha256: str
    licence: str
    origin: str
    package: str | None = None
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """An ONNX model of a pack, and how it comes from its source.

    Attributes:
        digest: first hex digits of the model's SHA-256, where the pack's name tells them.
    """

    name: str
    conversion: Conversion
    source: SourceFile
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Where the five points of a face belong in the chip.

    Attributes:
        template: five (x, y) in pixels of the chip: eye, eye, nose, mouth corner, mouth corner,
            left to right.
        chip_px: the chip is a square of this side.
    """

    template: tuple[tuple[float, float], ...]
    chip_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a score names a person, in the pack's own scale.

    Attributes:
        version: names these numbers in the evidence of a sighting.
        match: at or above, with `margin` to the runner-up, it is the person.
        review: at or above, but no match: a person should look. Below, the face is unknown.
        margin: the least distance between the best and the second-best person.
    """

    version: str
    match: float
    review: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPack:
    """Everything that has to agree for two embeddings to be comparable.

    Attributes:
        mirror_averaged: an output is the mean with that of the mirrored chip. It doubles the cost
            of an embedding (3.4 ms to 6.9 ms on one thread) and widens the gap between the same
            person and others; only the best shots of a track are embedded, so it pays.
    """

    pack_id: str
    detector: DetectorKind
    embedder: EmbedderKind
    files: tuple[ModelFile, ...]
    alignment: Alignment
    space: ComparisonSpace
    mirror_averaged: bool
    thresholds: Thresholds

    @property
    def dimension(self) -> int:
        """Return the length of an embedding."""
        return self.space.dimension

    @property
    def is_quantized(self) -> bool:
        """Tell whether it is a variant, which is made of pictures and not of its files alone."""
        return any(file.conversion == "int8" for file in self.files)

    @property
    def metric(self) -> Literal["inner_product"]:
        """Return how embeddings are compared; higher is closer."""
        return "inner_product"

    @property
    def digest(self) -> str:
        """Return 16 hex digits that change whenever the pack's models would."""
        content = [
            _CONVERTER_VERSION,
            [
                [file.name, file.conversion, file.source.sha256]
                + ([file.digest] if file.digest else [])
                for file in self.files
            ],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def score(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compare every embedding of `a` with every one of `b`.

        Args:
            a: (n, dimension) float32.
            b: (m, dimension) float32.

        Returns:
            (n, m) float32, -1 to 1, higher is closer; what an inner-product index returns.
        """
        return a @ b.T


_MTCNN_PACKAGE = "mtcnn"
_MTCNN_ORIGIN = "PyPI mtcnn 1.0.0"


def _mtcnn_file(net: Literal["p", "r", "o"], sha256: str) -> ModelFile:
    conversions: dict[str, Conversion] = {"p": "mtcnn_p", "r": "mtcnn_r", "o": "mtcnn_o"}
    return ModelFile(
        name=f"mtcnn_{net}net.onnx",
        conversion=conversions[net],
        source=SourceFile(
            name=f"{net}net.lz4",
            sha256=sha256,
            licence="MIT",
            origin=_MTCNN_ORIGIN,
            package=_MTCNN_PACKAGE,
            folder="assets/weights",
        ),
    )


_MTCNN = (
    _mtcnn_file("p", "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"),
    _mtcnn_file("r", "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee"),
    _mtcnn_file("o", "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3"),
)

_YUNET = ModelFile(
    name="yunet.onnx",
    conversion="yunet",
    source=SourceFile(
        name="face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        licence="MIT",
        origin="OpenCV Zoo, models/face_detection_yunet",
    ),
)

_DLIB_RESNET = ModelFile(
    name="dlib_resnet.onnx",
    conversion="dlib_resnet",
    source=SourceFile(
        name="dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        licence="CC0-1.0",
        origin="PyPI face_recognition_models 0.3.0",
        package="face_recognition_models",
        folder="models",
    ),
)

_DLIB_ALIGNMENT = Alignment(
    # Mean positions of five-point detections in chips that dlib itself aligned.
    template=(
        *((45.81, 45.75), (101.01, 44.77)),
        (73.94, 77.77),
        *((50.45, 99.83), (99.89, 97.78)),
    ),
    chip_px=150,
)

_DLIB_THRESHOLDS = Thresholds(
    version="dlib-1", match=DLIB_MATCH, review=DLIB_REVIEW, margin=DLIB_MARGIN
)

_PACKS = {
    pack.pack_id: pack
    for pack in (
        ModelPack(
            pack_id="builtin",
            detector="mtcnn",
            embedder="dlib_resnet",
            files=(*_MTCNN, _DLIB_RESNET),
            alignment=_DLIB_ALIGNMENT,
            space=DLIB_SPACE,
            mirror_averaged=True,
            thresholds=_DLIB_THRESHOLDS,
        ),
        ModelPack(
            pack_id="yunet-dlib",
            detector="yunet",
            embedder="dlib_resnet",
            files=(_YUNET, _DLIB_RESNET),
            alignment=_DLIB_ALIGNMENT,
            space=DLIB_SPACE,
            mirror_averaged=True,
            thresholds=_DLIB_THRESHOLDS,
        ),
    )
}


def known_packs() -> list[str]:
    """Return the names of all packs, the default one first."""
    return list(_PACKS)


def resolve_pack(pack_id: str) -> ModelPack:
    """Return the manifest of a pack, or of a quantised variant of one.

    Raises:
        PackUnknown: no pack has this name.
    """
    if pack_id in _PACKS:
        return _PACKS[pack_id]
    variant = _VARIANT.fullmatch(pack_id)
    if variant is not None and variant["base"] in _PACKS:
        return variant_of(_PACKS[variant["base"]], variant["digest"])
    names = ", ".join(known_packs())
    raise PackUnknown(f"There is no model pack {pack_id!r}; choose one of: {names}.")


def variant_of(base: ModelPack, digest: str) -> ModelPack:
    """Return the manifest of the variant whose embedder is quantised to 8-bit integers.

    Args:
        base: one of `known_packs()`.
        digest: SHA-256 of the quantised model as hex digits, or the first 12 of them.
    """
    name = f"{base.embedder}.onnx"
    digest = digest[:_DIGITS]
    return replace(
        base,
        pack_id=f"{base.pack_id}-int8-{digest}",
        files=tuple(
            replace(file, conversion="int8", digest=digest) if file.name == name else file
            for file in base.files
        ),
        thresholds=replace(base.thresholds, version=f"{base.thresholds.version}-int8"),
    )


_DIGITS = 12
_VARIANT = re.compile(rf"(?P<base>[a-z-]+)-int8-(?P<digest>[0-9a-f]{{{_DIGITS}}})")
