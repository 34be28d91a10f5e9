"""Reads the photographs that a person is enrolled from, before anything is asked of the site."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.failures import CommandFailed, ExitCode

MAX_PHOTO_BYTES = 10 * 1024 * 1024
_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A file that should be a photograph; the site decides whether it is one."""

    path: Path
    content_type: str
    data: bytes = field(repr=False)


def read_photos(paths: Sequence[Path]) -> list[Photo]:
    """Read every file.

    Raises:
        CommandFailed: one or more cannot be photographs; a sentence for each.
    """
    photos: list[Photo] = []
    problems: list[str] = []
    code = ExitCode.FAILED
    for path in paths:
        try:
            photos.append(read_photo(path))
        except CommandFailed as failure:
            problems.append(failure.sentence)
            code = failure.code
    if problems:
        raise CommandFailed("\n".join(problems), code=code)
    return photos


def read_photo(path: Path) -> Photo:
    """Read one file.

    Raises:
        CommandFailed: it is not there, no file, unreadable, empty or too large.
    """
    try:
        if not path.is_file():
            raise _not_a_file(path)
        with path.open("rb") as file:
            data = file.read(MAX_PHOTO_BYTES + 1)
    except OSError as error:
        raise CommandFailed(
            f"The photograph {path} cannot be read ({error.strerror}); correct its rights."
        ) from None
    if not data:
        raise CommandFailed(f"The photograph {path} is empty; name another file.")
    if len(data) > MAX_PHOTO_BYTES:
        raise CommandFailed(f"The photograph {path} is over 10 MiB; make it smaller.")
    content_type = _TYPES.get(path.suffix.lower(), "application/octet-stream")
    return Photo(path=path, data=data, content_type=content_type)


def _not_a_file(path: Path) -> CommandFailed:
    if path.is_dir():
        return CommandFailed(f"{path} is a folder; name the photographs in it one by one.")
    if path.exists():
        return CommandFailed(f"{path} is no ordinary file; name a photograph.")
    return CommandFailed(
        f"The photograph {path} does not exist; check its name.", code=ExitCode.NOT_FOUND
    )
