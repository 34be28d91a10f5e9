"""Reads the primitive values of dlib's serialization format from bytes that may be damaged.

The format (dlib/serialize.h and dlib/cuda/tensor.h, version 19 and later): an int is a control
byte, whose low four bits count the little-endian magnitude bytes and whose top bit is the sign; a
bool is the digit 0 or 1; a string is a length and its bytes; a float or double is the ints mantissa
and exponent, m * 2^e; a tensor is the version 2, the four dimensions and raw little-endian float32.
Every length is checked against what is left before anything is allocated. `dlib_network.py` reads
the layers with it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from face_engine.errors import PackFileCorrupt

_SIGN = 0x80
_MAGNITUDE_BYTES = 0x0F
_MAX_MAGNITUDE_BYTES = 8
_SPECIAL_EXPONENTS = {32000: math.inf, 32001: -math.inf, 32002: math.nan}
_TENSOR_VERSION = 2
_ALIAS_VERSION = 1


class DlibReader:
    """A cursor over the bytes of one file; every read raises `PackFileCorrupt` on bad data."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0

    @property
    def remaining(self) -> int:
        """Return how many bytes are not read yet."""
        return len(self._data) - self._at

    def corrupt(self, what: str) -> PackFileCorrupt:
        """Return the error for the present position."""
        return PackFileCorrupt(
            f"The model file {self._name} is damaged ({what} at byte {self._at}); "
            "install the package it comes from again."
        )

    def raw(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size > self.remaining:
            raise self.corrupt("it ends too early")
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def integer(self) -> int:
        """Return a signed integer of at most 64 bits."""
        control = self.raw(1)[0]
        size = control & _MAGNITUDE_BYTES
        if not 1 <= size <= _MAX_MAGNITUDE_BYTES:
            raise self.corrupt("an integer has an impossible size")
        magnitude = int.from_bytes(self.raw(size), "little")
        return -magnitude if control & _SIGN else magnitude

    def expect(self, what: str, *allowed: int) -> int:
        """Return an integer that must be one of `allowed`."""
        value = self.integer()
        if value not in allowed:
            raise self.corrupt(f"{what} is {value}, not {' or '.join(map(str, allowed))}")
        return value

    def boolean(self) -> bool:
        """Return a bool."""
        digit = self.raw(1)
        if digit not in (b"0", b"1"):
            raise self.corrupt("a bool is neither 0 nor 1")
        return digit == b"1"

    def text(self) -> str:
        """Return a string of at most 256 ASCII bytes."""
        size = self.integer()
        if not 0 <= size <= 256:
            raise self.corrupt("a string has an impossible length")
        try:
            return self.raw(size).decode("ascii")
        except UnicodeDecodeError:
            raise self.corrupt("a string is not ASCII") from None

    def number(self) -> float:
        """Return a float or a double."""
        mantissa, exponent = self.integer(), self.integer()
        if exponent in _SPECIAL_EXPONENTS:
            return _SPECIAL_EXPONENTS[exponent]
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            raise self.corrupt("a number has an impossible exponent") from None

    def _dimensions(self) -> tuple[int, int, int, int]:
        sizes = (self.integer(), self.integer(), self.integer(), self.integer())
        if min(sizes) < 0:
            raise self.corrupt("a tensor has a negative dimension")
        return sizes

    def tensor(self) -> NDArray[np.float32]:
        """Return a tensor of four dimensions; empty ones have a dimension of 0."""
        self.expect("a tensor's version", _TENSOR_VERSION)
        shape = self._dimensions()
        raw = self.raw(4 * math.prod(shape))
        return np.frombuffer(raw, dtype="<f4").astype(np.float32).reshape(shape)

    def alias(self) -> tuple[int, int, int, int]:
        """Return the dimensions of an alias tensor, a view into another one."""
        self.expect("an alias tensor's version", _ALIAS_VERSION)
        return self._dimensions()
