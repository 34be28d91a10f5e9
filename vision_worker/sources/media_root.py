"""Opens a recording below the media root, and nothing else.

The address comes from a request and the files below the root from anybody who may write there. So
the path is checked as text, then with its links resolved, and the file is opened step by step from
the root without following any link, so that nothing can be swapped in between. What libav gets is
the open file, never a name.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vision_worker.sources.failure import SourceFailure


def open_below(root: Path, path: str) -> BinaryIO:
    """Return a regular file below the root, opened for reading.

    Args:
        root: the media root; its own path may hold links.
        path: path of a file URL: absolute and below the root, or taken from the root on.

    Raises:
        SourceFailure: `not_found`, or `forbidden_address` for anything but a file below the root.
    """
    real_root = Path(os.path.realpath(root))
    relative = _relative(path, root, real_root)
    try:
        real = Path(os.path.realpath(real_root / relative, strict=True))
    except (FileNotFoundError, NotADirectoryError):
        raise SourceFailure(
            "not_found", "There is no such file below the media root; check the address."
        ) from None
    except (OSError, ValueError):
        raise _forbidden() from None
    if not real.is_relative_to(real_root):
        raise _forbidden()
    try:
        return _open_without_links(real_root, real.relative_to(real_root).parts)
    except OSError:
        raise _forbidden() from None


def _relative(path: str, root: Path, real_root: Path) -> PurePosixPath:
    """Return the path below the root, checked as text."""
    if "\x00" in path:
        raise _forbidden()
    pure = PurePosixPath(path)
    if ".." in pure.parts:
        raise _forbidden()
    absolute = PurePosixPath("/", *[part for part in pure.parts if part != "//"])
    for base in (PurePosixPath(os.path.abspath(root)), PurePosixPath(real_root)):  # noqa: PTH100
        if absolute.is_relative_to(base):
            return absolute.relative_to(base)
    return absolute.relative_to("/")


def _open_without_links(root: Path, parts: tuple[str, ...]) -> BinaryIO:
    if not parts:
        raise _forbidden()
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        # O_NONBLOCK: opening a pipe must not wait for its writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(parts[-1], flags, dir_fd=folder)
    finally:
        with suppress(OSError):
            os.close(folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _forbidden()
    return os.fdopen(handle, "rb", buffering=0)


def _forbidden() -> SourceFailure:
    return SourceFailure(
        "forbidden_address", "Only regular files below the media root may be played."
    )
