"""The people of the test media, and what is enrolled of them when one of their photographs plays.

Two of the files show photographs that are there a second time (`two_people.jpg` is put together of
`obama_3.jpg` and `biden_1.jpg`, `obama_partial.jpg` is a part of `obama_1.jpg`), so neither is used
here: a clip must never be made of a photograph that is enrolled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from face_engine.engine import FaceEngine
from face_engine.pictures import decode_picture
from face_engine.values import AnalyzedFace
from tests.support.astronaut import astronaut

ASTRONAUT: Final = "astronaut"
BYSTANDER: Final = "bystander"
"""A woman in profile at the rim of a photograph: she is never enrolled."""

_PEOPLE_BY_FILE: Final[Mapping[str, tuple[str, ...]]] = {
    "obama_1.jpg": ("obama",),
    "obama_2.jpg": ("obama",),
    "obama_3.jpg": ("obama",),
    "biden_1.jpg": ("biden",),
    "biden_2.jpg": ("biden",),
    "obama_and_biden.jpg": ("biden", "obama", BYSTANDER),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portrait:
    """One face of one photograph.

    Attributes:
        person: who it is.
        photo: name of the file.
        picture: (h, w, 3) uint8 RGB; the whole photograph.
        face: what the engine says of the face.
    """

    person: str
    photo: str
    picture: NDArray[np.uint8]
    face: AnalyzedFace


def read_portraits(engine: FaceEngine, folder: Path) -> list[Portrait]:
    """Return every face of the media's photographs, and of one that is always there.

    The photographs come in the order of their names, their faces from left to right.

    Args:
        engine: finds the faces.
        folder: holds the photographs.

    Raises:
        OSError: a photograph is missing.
    """
    found: list[Portrait] = []
    for photo, people in sorted(_PEOPLE_BY_FILE.items()):
        picture = decode_picture((folder / photo).read_bytes())
        found += _portraits_of(engine, picture, photo, people)
    return [*found, *_portraits_of(engine, astronaut(), "astronaut.png", (ASTRONAUT,))]


def _portraits_of(
    engine: FaceEngine, picture: NDArray[np.uint8], photo: str, people: Sequence[str]
) -> list[Portrait]:
    faces = sorted(engine.analyze(picture), key=lambda face: float(face.box[0]))
    # a detector that misses the profile finds one face fewer, from the right
    return [
        Portrait(person=person, photo=photo, picture=picture, face=face)
        for person, face in zip(people, faces, strict=False)
    ]


def gallery_without(
    portraits: Sequence[Portrait], *, photo: str, person: str | None = None
) -> dict[str, list[NDArray[np.float32]]]:
    """Return embeddings by person of all that would be enrolled beside a clip of `photo`.

    Args:
        portraits: everybody.
        photo: the photograph that the clip is made of.
        person: who is left out altogether, as a stranger.
    """
    gallery: dict[str, list[NDArray[np.float32]]] = {}
    for portrait in portraits:
        good = portrait.face.quality.verdict == "good"
        if good and portrait.photo != photo and portrait.person != person:
            gallery.setdefault(portrait.person, []).append(portrait.face.embedding)
    return gallery


def everybody(portraits: Sequence[Portrait]) -> dict[str, list[NDArray[np.float32]]]:
    """Return embeddings by person of all that would be enrolled."""
    return gallery_without(portraits, photo="")
