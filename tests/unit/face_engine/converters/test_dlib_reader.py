"""dlib's primitive values: what is written is read, and bad bytes give one clear error."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_engine.converters.dlib_reader import DlibReader
from face_engine.errors import PackFileCorrupt


def written_int(value: int) -> bytes:
    magnitude = abs(value)
    size = max(1, (magnitude.bit_length() + 7) // 8)
    control = size | (0x80 if value < 0 else 0)
    return bytes([control]) + magnitude.to_bytes(size, "little")


def written_number(mantissa: int, exponent: int) -> bytes:
    return written_int(mantissa) + written_int(exponent)


def written_tensor(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    head = b"".join(written_int(number) for number in (2, *values.shape))
    return head + values.astype("<f4").tobytes()


def reader(data: bytes) -> DlibReader:
    return DlibReader(data, "model.dat")


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_integers_come_back(value: int) -> None:
    source = reader(written_int(value))
    assert source.integer() == value
    assert source.remaining == 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back(value: float) -> None:
    fraction, exponent = math.frexp(value)
    source = reader(written_number(int(fraction * 2**53), exponent - 53))
    assert source.number() == value


@pytest.mark.parametrize(("exponent", "expected"), [(32000, math.inf), (32001, -math.inf)])
def test_infinities_have_their_own_exponents(exponent: int, expected: float) -> None:
    assert reader(written_number(0, exponent)).number() == expected


def test_nan_has_its_own_exponent() -> None:
    assert math.isnan(reader(written_number(0, 32002)).number())


@given(st.tuples(*[st.integers(0, 4)] * 4))
def test_tensors_come_back(shape: tuple[int, int, int, int]) -> None:
    values = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    source = reader(written_tensor(values))
    np.testing.assert_array_equal(source.tensor(), values)
    assert source.remaining == 0


def test_strings_and_bools_come_back() -> None:
    source = reader(written_int(5) + b"con_4" + b"10")
    assert (source.text(), source.boolean(), source.boolean()) == ("con_4", True, False)


def test_a_huge_tensor_is_refused_before_it_is_allocated() -> None:
    head = b"".join(written_int(number) for number in (2, 2**40, 2**10, 1, 1))
    with pytest.raises(PackFileCorrupt, match="ends too early"):
        reader(head + b"\0" * 64).tensor()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "ends too early"),
        (b"\x00", "impossible size"),
        (b"\x0f" + b"\xff" * 15, "impossible size"),
        (b"\x04\x01", "ends too early"),
    ],
)
def test_bad_integers_are_named(data: bytes, what: str) -> None:
    with pytest.raises(PackFileCorrupt, match=what) as caught:
        reader(data).integer()
    assert "model.dat" in str(caught.value)


def test_a_bool_is_a_digit() -> None:
    with pytest.raises(PackFileCorrupt, match="neither 0 nor 1"):
        reader(b"\x01").boolean()


def test_an_impossible_exponent_is_refused() -> None:
    with pytest.raises(PackFileCorrupt, match="impossible exponent"):
        reader(written_number(1, 2**40)).number()


@given(st.binary(max_size=80))
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    for read in (DlibReader.integer, DlibReader.number, DlibReader.text, DlibReader.boolean):
        try:
            read(reader(data))
        except PackFileCorrupt:
            continue
    for read_shape in (DlibReader.tensor, DlibReader.alias):
        try:
            read_shape(reader(data))
        except PackFileCorrupt:
            continue


def test_little_endian_float32_is_read_as_written() -> None:
    data = b"".join(written_int(number) for number in (2, 1, 1, 1, 1)) + struct.pack("<f", 0.1)
    assert reader(data).tensor().item() == np.float32(0.1)
