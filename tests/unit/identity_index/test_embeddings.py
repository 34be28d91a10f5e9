"""What the gate lets in, and what it refuses."""

import numpy as np
import pytest

from dfip.identity_index.v1 import embedding_pb2
from identity_index.embeddings import EmbeddingSpace
from service_runtime.errors import FailedPrecondition, InvalidArgument
from tests.unit.identity_index.vectors import unit_vectors

SPACE = EmbeddingSpace(pack_id="builtin", dimension=8)


def test_what_was_written_is_read_back_bit_by_bit() -> None:
    vectors = unit_vectors(5, 8)
    read = SPACE.read(SPACE.write(vectors))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, vectors)


def test_wire_is_little_endian_float32() -> None:
    vector = np.zeros((1, 8), np.float32)
    vector[0, 1] = 1.0
    assert SPACE.write(vector).vectors == b"\0\0\0\0" + b"\x00\x00\x80\x3f" + b"\0" * 24


def test_embeddings_of_another_pack_are_never_compared() -> None:
    batch = EmbeddingSpace(pack_id="other", dimension=8).write(unit_vectors(1, 8))
    with pytest.raises(FailedPrecondition) as refused:
        SPACE.read(batch)
    assert refused.value.reason == "PACK_MISMATCH"
    assert refused.value.metadata == {"expected": "builtin", "actual": "other"}


def _batch(values: object, dimension: int = 8) -> embedding_pb2.EmbeddingBatch:
    return embedding_pb2.EmbeddingBatch(
        pack_id="builtin", dimension=dimension, vectors=np.asarray(values, "<f4").tobytes()
    )


_UNIT = [1.0] + [0.0] * 7


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (_batch([float("nan"), *_UNIT[1:]]), "embedding 0 is not of unit length"),
        (_batch([*_UNIT[:7], float("nan")]), "embedding 0 is not of unit length"),
        (_batch([float("inf"), *_UNIT[1:]]), "embedding 0 is not of unit length"),
        (_batch([3e38, *_UNIT[1:]]), "embedding 0 is not of unit length"),
        (_batch([_UNIT, [0.0] * 8]), "embedding 1 is not of unit length (its length is 0)"),
        (_batch([[0.9 * value for value in _UNIT]]), "its length is 0.9"),
        (_batch([1.0] + [0.0] * 3, dimension=4), "8 values, not 4"),
        (_batch([*_UNIT, 1.0]), "36 bytes are no multiple of 32"),
        (_batch([]), "0 bytes are no multiple"),
        (_batch([_UNIT] * 257), "256 at most, not 257"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    batch: embedding_pb2.EmbeddingBatch, told: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        SPACE.read(batch)
    assert refused.value.reason == "EMBEDDING_INVALID"
    assert told in refused.value.sentence


def test_a_full_batch_is_read() -> None:
    assert SPACE.read(_batch([_UNIT] * 256)).shape == (256, 8)
