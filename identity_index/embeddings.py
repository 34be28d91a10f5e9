"""The gate for vectors: embeddings on the wire become arrays only if they can be compared.

An embedding of another pack, of another length, with a NaN in it or without a direction would not
fail in a search: it would quietly name the wrong person. `servicer` and `feed` read every embedding
through here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfip.identity_index.v1 import embedding_pb2
from service_runtime.errors import FailedPrecondition, InvalidArgument

MOST_ROWS = 256
_UNIT_TOLERANCE = 1e-2  # rounding to float16 on the way stays inside


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSpace:
    """The one space that this index compares in: a model pack and the length of its embeddings."""

    pack_id: str
    dimension: int

    def read(self, batch: embedding_pb2.EmbeddingBatch) -> NDArray[np.float32]:
        """Return the embeddings of a batch as (n, dimension) float32, read-only, n = 1 to 256.

        Raises:
            FailedPrecondition: PACK_MISMATCH, another pack made them.
            InvalidArgument: EMBEDDING_INVALID, they are not unit vectors of this space.
        """
        if batch.pack_id != self.pack_id:
            raise FailedPrecondition(
                "PACK_MISMATCH",
                f"These embeddings are of the model pack {batch.pack_id}, the index compares those "
                f"of {self.pack_id}; run the whole site with one pack.",
                expected=self.pack_id,
                actual=batch.pack_id,
            )
        if batch.dimension != self.dimension:
            raise _invalid(
                f"an embedding of {self.pack_id} has {self.dimension} values, not {batch.dimension}"
            )
        row_bytes = 4 * self.dimension
        rows, rest = divmod(len(batch.vectors), row_bytes)
        if rest or not rows:
            raise _invalid(f"{len(batch.vectors)} bytes are no multiple of {row_bytes}")
        if rows > MOST_ROWS:
            raise _invalid(f"a batch holds {MOST_ROWS} at most, not {rows}")
        vectors = np.frombuffer(batch.vectors, "<f4").reshape(rows, self.dimension)
        # the norm of a row is NaN or infinite exactly if one of its values is, or overflows
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        unit = np.abs(lengths - 1) <= _UNIT_TOLERANCE
        if not unit.all():
            at = int(np.argmin(unit))
            raise _invalid(f"embedding {at} is not of unit length (its length is {lengths[at]:g})")
        return vectors.astype(np.float32, copy=False)

    def write(self, vectors: NDArray[np.float32]) -> embedding_pb2.EmbeddingBatch:
        """Return (n, dimension) vectors as they go over the wire."""
        return embedding_pb2.EmbeddingBatch(
            pack_id=self.pack_id,
            dimension=self.dimension,
            vectors=np.ascontiguousarray(vectors, "<f4").tobytes(),
        )


def _invalid(what: str) -> InvalidArgument:
    return InvalidArgument("EMBEDDING_INVALID", f"The embeddings cannot be searched: {what}.")
