"""What people and sightings both say of a face: box, quality, embedding, candidates.

Plain values of ``dfip.identity_index.v1``, so that the domain and the database know no protobuf;
boxes and qualities go into JSON columns as they are.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from control_plane.encryption import Vault
from dfip.identity_index.v1 import embedding_pb2
from service_runtime.errors import InvalidArgument

_BYTES_PER_VALUE = 4
_LENGTH_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a face is, in fractions (0 to 1) of the picture's width and height."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def from_proto(cls, message: embedding_pb2.BoundingBox) -> Self:
        """Read the contract's box."""
        return cls(x=message.x, y=message.y, width=message.width, height=message.height)

    def to_proto(self) -> embedding_pb2.BoundingBox:
        """Return the contract's box."""
        return embedding_pb2.BoundingBox(x=self.x, y=self.y, width=self.width, height=self.height)

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON column keeps."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How usable a face is for recognition; fields and units as in ``FaceQuality``."""

    score: float
    width_px: float
    blur: float
    yaw: float
    pitch: float
    brightness: float
    verdict: str
    reasons: tuple[str, ...]
    occlusion: float = 0.0  # rows of before it was measured have none

    @classmethod
    def from_proto(cls, message: embedding_pb2.FaceQuality) -> Self:
        """Read the contract's quality."""
        return cls(
            score=message.score,
            width_px=message.width_px,
            blur=message.blur,
            yaw=message.yaw,
            pitch=message.pitch,
            brightness=message.brightness,
            verdict=message.verdict,
            reasons=tuple(message.reasons),
            occlusion=message.occlusion,
        )

    def to_proto(self) -> embedding_pb2.FaceQuality:
        """Return the contract's quality."""
        return embedding_pb2.FaceQuality(**self.to_json())

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what a JSON column kept."""
        return cls(**(values | {"reasons": tuple(values["reasons"])}))

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON column keeps."""
        return dataclasses.asdict(self) | {"reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One embedding: ``vector`` holds ``dimension`` little-endian float32 values."""

    pack_id: str
    dimension: int
    vector: bytes = dataclasses.field(repr=False)

    @classmethod
    def from_proto(cls, batch: embedding_pb2.EmbeddingBatch) -> Self:
        """Read a batch of one.

        Raises:
            InvalidArgument: It holds another number of values than it says, or is no unit vector.
        """
        if len(batch.vectors) != batch.dimension * _BYTES_PER_VALUE or not batch.pack_id:
            raise InvalidArgument(
                "EMBEDDING_INVALID",
                f"One embedding of {batch.dimension} float32 values was expected; "
                f"{len(batch.vectors)} bytes came.",
            )
        embedding = cls(pack_id=batch.pack_id, dimension=batch.dimension, vector=batch.vectors)
        length = float(np.linalg.norm(embedding.values()))
        if not abs(length - 1) < _LENGTH_TOLERANCE:  # also where it is not a number
            raise InvalidArgument("EMBEDDING_INVALID", "The embedding is not of unit length.")
        return embedding

    def values(self) -> NDArray[np.float32]:
        """Return the vector, (dimension,) float32."""
        return np.frombuffer(self.vector, "<f4").astype(np.float32)

    def to_proto(self) -> embedding_pb2.EmbeddingBatch:
        """Return a batch of one."""
        return embedding_pb2.EmbeddingBatch(
            pack_id=self.pack_id, dimension=self.dimension, vectors=self.vector
        )

    def seal(self, vault: Vault, *, table: str, column: str, row_id: str) -> bytes:
        """Return the vector as that place in the database keeps it."""
        return vault.seal(self.vector, table=table, column=column, row_id=row_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A person who may be the one, by the enrolled face that came closest."""

    person_id: str
    face_id: str
    score: float

    @classmethod
    def from_proto(cls, message: embedding_pb2.Candidate) -> Self:
        """Read the contract's candidate; a name in it is not believed."""
        return cls(person_id=message.person_id, face_id=message.face_id, score=message.score)
