"""A disk that ends the process, or refuses, at a chosen step: SQLite's own calls and the folder's.

SQLite reaches its files through a table of functions (its VFS), which other code may wrap: here
``ctypes`` puts itself around ``xWrite``, ``xTruncate``, ``xSync`` and ``xDelete`` of this process.
What the spool does to its folder itself (make, rename, unlink) is wrapped in Python. Each such call
is a step. ``Disk.install`` is for processes that may be lost.
"""

import _sqlite3
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest.mock import patch

SQLITE_FULL: Final = 13
SQLITE_READONLY: Final = 8
SQLITE_IOERR_WRITE: Final = 10 | (3 << 8)
REFUSALS: Final = {
    "full": SQLITE_FULL, "read_only": SQLITE_READONLY, "failed": SQLITE_IOERR_WRITE,
}  # fmt: skip
MODES: Final = ("before", "torn", "after")

T = TypeVar("T")
_Pointer = ctypes.c_void_p
_FILE_METHODS: Final = (
    "close", "read", "write", "truncate", "sync", "file_size", "lock", "unlock",
    "check_reserved_lock", "file_control", "sector_size", "device_characteristics", "shm_map",
    "shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch",
)  # fmt: skip
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)


class _Methods(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int)] + [(name, _Pointer) for name in _FILE_METHODS]


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int), ("file_bytes", ctypes.c_int), ("path_bytes", ctypes.c_int),
        ("next", _Pointer), ("name", ctypes.c_char_p), ("data", _Pointer),
        ("open", _Pointer), ("delete", _Pointer),
    ]  # fmt: skip


class Disk:
    """Counts the steps of this process.

    Attributes:
        steps: how many there were.
        kill_at: the step at which the process gets SIGKILL; 0 for never.
        mode: ``before`` the step, in the middle of it (``torn``, a write), or ``after`` it.
        refusal: what SQLite is told instead of a write; 0 for nothing.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.kill_at = 0
        self.mode = "before"
        self.refusal = 0
        self._kept: list[Any] = []
        self._patched: dict[int, _Methods] = {}

    def install(self) -> None:
        """Put itself around what this process does to its disk, for good."""
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        vfs = library.sqlite3_vfs_find(None).contents
        real_open, real_delete = _OPEN(vfs.open), _DELETE(vfs.delete)

        def open_file(vfs_: int, name: int, file: int, flags: int, out: int) -> int:
            code = int(real_open(vfs_, name, file, flags, out))
            if code == 0:
                methods = ctypes.cast(file, ctypes.POINTER(_Pointer))
                methods[0] = self._around(methods[0])
            return code

        def delete(vfs_: int, name: bytes, sync: int) -> int:
            return self._step(lambda: int(real_delete(vfs_, name, sync)))

        opened, deleted = _OPEN(open_file), _DELETE(delete)
        self._kept += [real_open, real_delete, opened, deleted]
        vfs.open = ctypes.cast(opened, _Pointer).value
        vfs.delete = ctypes.cast(deleted, _Pointer).value
        self._wrap_folder()

    def _around(self, address: int) -> int:
        if address not in self._patched:
            real = ctypes.cast(address, ctypes.POINTER(_Methods)).contents
            made = _Methods.from_buffer_copy(real)
            write, truncate, sync = _WRITE(real.write), _TRUNCATE(real.truncate), _SYNC(real.sync)

            def write_(file: int, data: int, count: int, offset: int) -> int:
                if self.refusal:
                    return self.refusal
                return self._step(
                    lambda: int(write(file, data, count, offset)),
                    half=lambda: int(write(file, data, count // 2, offset)),
                )

            def truncate_(file: int, size: int) -> int:
                return self._step(lambda: int(truncate(file, size)))

            def sync_(file: int, flags: int) -> int:
                return self._step(lambda: int(sync(file, flags)))

            wrapped = (_WRITE(write_), _TRUNCATE(truncate_), _SYNC(sync_))
            self._kept += [write, truncate, sync, *wrapped]
            for name, function in zip(("write", "truncate", "sync"), wrapped, strict=True):
                setattr(made, name, ctypes.cast(function, _Pointer).value)
            self._patched[address] = made
        return ctypes.addressof(self._patched[address])

    def _wrap_folder(self) -> None:
        replace, unlink, open_ = Path.replace, Path.unlink, os.open

        def replace_(path: Path, target: Path) -> Path:
            return self._step(lambda: replace(path, target))

        def unlink_(path: Path, missing_ok: bool = False) -> None:
            return self._step(lambda: unlink(path, missing_ok))

        def made(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if not flags & os.O_CREAT:
                return open_(path, flags, *arguments, **named)
            return self._step(lambda: open_(path, flags, *arguments, **named))

        patch.object(Path, "replace", replace_).start()
        patch.object(Path, "unlink", unlink_).start()
        patch.object(os, "open", made).start()

    def _step(self, act: Callable[[], T], half: Callable[[], T] | None = None) -> T:
        self.steps += 1
        if self.steps != self.kill_at:
            return act()
        if self.mode == "after":
            act()
        elif self.mode == "torn" and half is not None:
            half()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody outlives SIGKILL")
