"""What the demo watches and whom it looks for, made out of what was typed."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.client.photos import Photo, read_photo
from cli.demo.clips import ClipInTheMaking, demo_clip_in_the_making
from cli.failures import CommandFailed, ExitCode

ASTRONAUT = "Eileen Collins"
"""Whom scikit-image's photograph shows: NASA's public portrait of the astronaut, 1999."""

_LONGEST_URL = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Somebody to look for."""

    name: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What to watch, and whom to look for.

    Attributes:
        watched: address of the stream, or the demo's own clip, which may not be made yet.
        media_root: the folder that a file has to be in; None where it does not matter.
    """

    camera_name: str
    subjects: tuple[Subject, ...]
    watched: str | ClipInTheMaking
    media_root: Path | None = None


@contextmanager
def footage_of(source: str, persons: Sequence[str]) -> Iterator[Footage]:
    """Find out what to watch; without a source, begin to make the demo's clip.

    Raises:
        CommandFailed: a file is missing, or a person is not written as NAME=PHOTO.
    """
    subjects = subjects_of(persons)
    if not source:
        from cli.demo.clip_maker import astronaut_photo

        with demo_clip_in_the_making() as clip:
            portrait = Subject(name=ASTRONAUT, photos=(read_photo(astronaut_photo()),))
            yield Footage(camera_name="Demo camera", subjects=(portrait,), watched=clip)
        return
    if source == "-":
        source = sys.stdin.readline(_LONGEST_URL).strip()
    if "://" in source:
        yield Footage(camera_name="Demo camera", subjects=subjects, watched=source)
        return
    file = Path(source).expanduser().resolve()
    if not file.is_file():
        raise CommandFailed(
            f"The video {source or '(nothing)'} does not exist; name a file or a URL such as "
            "rtsp://….",
            code=ExitCode.NOT_FOUND,
        )
    yield Footage(
        camera_name=file.name, subjects=subjects, watched=file.as_uri(), media_root=file.parent
    )


def subjects_of(persons: Sequence[str]) -> tuple[Subject, ...]:
    """Read the photographs of NAME=PHOTO arguments; a name may come again with another photo.

    Raises:
        CommandFailed: one is not written so, or its photograph cannot be read.
    """
    photos: dict[str, list[Photo]] = {}
    for text in persons:
        name, equals, path = text.partition("=")
        if not equals or not name.strip() or not path.strip():
            raise CommandFailed(
                f"{text!r} names nobody; write --person NAME=PHOTO.", code=ExitCode.USAGE
            )
        photos.setdefault(name.strip(), []).append(read_photo(Path(path).expanduser()))
    return tuple(Subject(name=name, photos=tuple(found)) for name, found in photos.items())
