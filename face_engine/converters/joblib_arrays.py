"""Reads a list of arrays from an LZ4-compressed joblib file without unpickling anything.

joblib writes a pickle in which each array stands as a `NumpyArrayWrapper` (its shape, order and
type), followed in the stream by one byte that counts padding bytes, the padding and the raw values.
Unpickling runs whatever a file says, so this is an interpreter of its own for the few opcodes such
a file needs. It builds plain values only: a class is a pair of names, and the three that may occur
are compared, never imported or called. Anything else is refused.

Opcodes: the documentation of Python's `pickletools`. Wrapper: joblib/numpy_pickle.py, since 1.2.
`mtcnn_onnx.py` gives the arrays their places.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import lz4.frame
import numpy as np
from numpy.typing import NDArray

from face_engine.errors import PackFileCorrupt

_MAX_BYTES = 16 * 1024 * 1024
_MAX_OPCODES = 100_000

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_ARRAY = ("numpy", "ndarray")
_DTYPE = ("numpy", "dtype")
_ALLOWED = frozenset({_WRAPPER, _ARRAY, _DTYPE})
_FLOAT32_STATE = (3, "<", None, None, None, -1, -1, 0)

_MARK = object()


class _RefusedError(Exception):
    """The stream holds something that a list of arrays does not need."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Wrapper:
    """Stands for a `NumpyArrayWrapper` until its BUILD brings the array."""

    array: NDArray[np.float32] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Float32:
    """Stands for `numpy.dtype("f4")`; its BUILD confirms the byte order."""


def read_arrays(data: bytes, name: str) -> list[NDArray[np.float32]]:
    """Return the float32 arrays of a joblib file.

    Args:
        data: the whole file, an LZ4 frame.
        name: the file's name, for errors.

    Raises:
        PackFileCorrupt: damaged, cut off, larger than 16 MiB, or anything but a list of arrays.
    """
    try:
        return _Interpreter(_decompressed(data)).arrays()
    except (_RefusedError, IndexError, TypeError, ValueError, struct.error, RuntimeError) as error:
        # IndexError and TypeError: an opcode that finds nothing, or the wrong thing, on the stack
        what = str(error) if isinstance(error, _RefusedError) else "its structure is broken"
        raise PackFileCorrupt(
            f"The model file {name} is damaged or not a list of arrays ({what}); "
            "install the package it comes from again."
        ) from None


def _decompressed(data: bytes) -> bytes:
    reader = lz4.frame.LZ4FrameDecompressor()
    content: bytes = reader.decompress(data, max_length=_MAX_BYTES)
    if not reader.eof:
        raise _RefusedError("it ends too early or is larger than a model")
    return content


@dataclass(slots=True)
class _Interpreter:
    """One run over one stream; the fields are the machine of the pickle protocol."""

    data: bytes
    at: int = 0
    stack: list[object] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)

    def arrays(self) -> list[NDArray[np.float32]]:
        steps = self._steps()
        for _ in range(_MAX_OPCODES):
            opcode = self._take(1)
            if opcode == b".":
                return self._result()
            step = steps.get(opcode)
            if step is None:
                raise _RefusedError(f"opcode {opcode!r} has no place in it")
            step()
        raise _RefusedError("it has too many opcodes")

    def _result(self) -> list[NDArray[np.float32]]:
        result = self.stack.pop()
        if not isinstance(result, list):
            raise _RefusedError("it holds no list")
        arrays = [item.array for item in result if isinstance(item, _Wrapper)]
        found = [array for array in arrays if array is not None]
        if len(found) != len(result):
            raise _RefusedError("the list holds something else than arrays")
        return found

    def _steps(self) -> dict[bytes, Callable[[], None]]:
        push = self.stack.append
        return {
            b"\x80": lambda: self._skip(1),  # PROTO
            b"\x95": lambda: self._skip(8),  # FRAME
            b"(": lambda: push(_MARK),
            b"]": lambda: push([]),
            b"}": lambda: push({}),
            b")": lambda: push(()),
            b"N": lambda: push(None),
            b"\x88": lambda: push(True),
            b"\x89": lambda: push(False),
            b"K": lambda: push(self._take(1)[0]),  # BININT1
            b"M": lambda: push(struct.unpack("<H", self._take(2))[0]),  # BININT2
            b"J": lambda: push(struct.unpack("<i", self._take(4))[0]),  # BININT
            b"\x8c": lambda: push(self._take(self._take(1)[0]).decode()),  # SHORT_BINUNICODE
            b"\x94": self._memoize,
            b"h": lambda: push(self._remembered(self._take(1)[0])),  # BINGET
            b"\x93": self._name,  # STACK_GLOBAL
            b"\x85": lambda: self._tuple_of(1),
            b"\x86": lambda: self._tuple_of(2),
            b"\x87": lambda: self._tuple_of(3),
            b"t": lambda: push(tuple(self._since_mark())),
            b"e": self._extend_list,  # APPENDS
            b"a": self._append,
            b"u": self._fill_dictionary,  # SETITEMS
            b"\x81": self._new,  # NEWOBJ
            b"R": self._reduce,
            b"b": self._build,
        }

    def _take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise _RefusedError("it ends too early")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def _skip(self, size: int) -> None:
        self._take(size)

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _remembered(self, key: int) -> object:
        if key not in self.memo:
            raise _RefusedError("it recalls what it never stored")
        return self.memo[key]

    def _since_mark(self) -> list[object]:
        items: list[object] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _tuple_of(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise _RefusedError("a tuple lacks its items")
        del self.stack[-count:]
        self.stack.append(items)

    def _extend_list(self) -> None:
        items = self._since_mark()
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _RefusedError("items are added to no list")
        target.extend(items)

    def _append(self) -> None:
        item = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _RefusedError("an item is added to no list")
        target.append(item)

    def _fill_dictionary(self) -> None:
        items = self._since_mark()
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise _RefusedError("keys are added to no dictionary")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _name(self) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if (module, attribute) not in _ALLOWED:
            raise _RefusedError(f"it names {module}.{attribute}")
        self.stack.append((module, attribute))

    def _new(self) -> None:
        arguments, named = self.stack.pop(), self.stack.pop()
        if named != _WRAPPER or arguments != ():
            raise _RefusedError("it makes something else than an array")
        self.stack.append(_Wrapper())

    def _reduce(self) -> None:
        arguments, named = self.stack.pop(), self.stack.pop()
        if named != _DTYPE or arguments != ("f4", False, True):
            raise _RefusedError("it calls something")
        self.stack.append(_Float32())

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Float32):
            if state != _FLOAT32_STATE:
                raise _RefusedError("an array is not little-endian float32")
        elif isinstance(target, _Wrapper) and isinstance(state, dict):
            target.array = self._array(state)
        else:
            raise _RefusedError("it changes something else than an array")

    def _array(self, state: dict[object, object]) -> NDArray[np.float32]:
        shape, order = state.get("shape"), state.get("order")
        if state.get("subclass") != _ARRAY or not isinstance(state.get("dtype"), _Float32):
            raise _RefusedError("an array is not of float32")
        if not isinstance(shape, tuple) or order not in ("C", "F"):
            raise _RefusedError("an array lacks its shape")
        sizes = [size for size in shape if isinstance(size, int) and size > 0]
        if len(sizes) != len(shape) or not 1 <= len(sizes) <= 4:
            raise _RefusedError("an array has an impossible shape")
        self._skip(self._take(1)[0])
        flat = np.frombuffer(self._take(4 * math.prod(sizes)), dtype="<f4").astype(np.float32)
        return flat.reshape(sizes) if order == "C" else flat.reshape(sizes[::-1]).T
