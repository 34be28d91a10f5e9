"""Gathers aligned faces to quantise a pack with: from a folder, or the crops of a site's sightings.

In a folder, the pictures of one person may lie in a folder of their own, whose name is then their
label. Of the site's sightings only those are labelled that a person has judged: what the worker
named is no witness for the worker.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
import numpy as np
from numpy.typing import NDArray

from cli.client.access import Access, connected
from cli.client.pages import all_pages
from cli.client.photos import read_photo
from cli.failures import CommandFailed
from dfip.control_plane.v1 import sighting_pb2, sighting_service_pb2, sighting_service_pb2_grpc
from face_engine.engine import FaceEngine
from face_engine.pictures import PictureRejected, decode_picture

MOST_PICTURES: Final = 1000
_ENDINGS: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_SMALLEST_FACE_PX: Final = 40
_JUDGED_RIGHT: Final = frozenset({"confirmed", "moved"})

Shown = Callable[[float], None]
"""Called with the fraction done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """A picture of a file or a sighting; `label` says who is in it, None where nobody knows."""

    name: str
    label: str | None
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faces:
    """What was found in pictures.

    Attributes:
        chips: (n, s, s, 3) uint8 RGB; aligned faces of at least fair quality.
        labels: one a face.
        pictures: that were looked at.
        unreadable: of these, no pictures at all.
    """

    chips: NDArray[np.uint8]
    labels: Sequence[str | None]
    pictures: int
    unreadable: int


def pictures_of_folder(folder: Path) -> Iterator[LabelledPicture]:
    """Yield the pictures in a folder and in the folders in it, in the order of their names.

    Raises:
        CommandFailed: no such folder, no picture in it, too many, or one that cannot be read.
    """
    if not folder.is_dir():
        raise CommandFailed(f"There is no folder {folder}; name one that holds photographs.")
    try:
        within = [*folder.glob("*"), *folder.glob("*/*")]
    except OSError as error:
        raise CommandFailed(
            f"The folder {folder} cannot be read ({error.strerror}); correct its rights."
        ) from None
    paths = sorted(path for path in within if path.suffix.lower() in _ENDINGS)
    if not paths:
        raise CommandFailed(f"No picture is in {folder}; it wants JPEG, PNG or WebP photographs.")
    if len(paths) > MOST_PICTURES:
        raise CommandFailed(
            f"{len(paths)} pictures are in {folder}; at most {MOST_PICTURES} are looked at at once."
        )
    for path in paths:
        label = None if path.parent == folder else path.parent.name
        yield LabelledPicture(name=path.name, label=label, data=read_photo(path).data)


async def pictures_of_sightings(access: Access, *, limit: int) -> list[LabelledPicture]:
    """Return the crops of a site's newest sightings of good quality.

    Raises:
        CommandFailed: the site cannot be asked, or has seen nobody well.
    """
    found: list[LabelledPicture] = []
    async with connected(access) as channel:
        stub = sighting_service_pb2_grpc.SightingServiceStub(channel)
        request = sighting_service_pb2.ListSightingsRequest()
        sightings = await all_pages(stub.ListSightings, request, limit=limit)
        for sighting in sightings:
            if sighting.quality.verdict != "good":
                continue
            wanted = sighting_service_pb2.GetSightingImageRequest(sighting_id=sighting.id)
            try:
                body = await stub.GetSightingImage(wanted)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:  # gone by now, or without a crop
                    continue
                raise
            found.append(LabelledPicture(name=sighting.id, label=_judged(sighting), data=body.data))
    if not found:
        raise CommandFailed(
            "The site has no sighting with a good look at a face yet; name a folder of photographs "
            "with --pictures."
        )
    return found


def _judged(sighting: sighting_pb2.Sighting) -> str | None:
    judged = sighting.HasField("label") and sighting.label.verdict in _JUDGED_RIGHT
    return sighting.person_id if judged and sighting.person_id else None


def faces_of(
    engine: FaceEngine, pictures: Iterable[LabelledPicture], *, total: int, shown: Shown
) -> Faces:
    """Return every face of the pictures that can be recognised; a label holds for a single face."""
    side = engine.pack.alignment.chip_px
    chips: list[NDArray[np.uint8]] = []
    labels: list[str | None] = []
    number = unreadable = 0
    for number, picture in enumerate(pictures, start=1):
        try:
            faces = engine.analyze(decode_picture(picture.data), min_face_px=_SMALLEST_FACE_PX)
        except PictureRejected:
            unreadable += 1
            continue
        usable = [face for face in faces if face.quality.verdict != "poor"]
        chips += [face.chip for face in usable]
        labels += [picture.label if len(usable) == 1 else None] * len(usable)
        shown(number / max(total, number))
    return Faces(
        chips=np.array(chips, np.uint8).reshape(-1, side, side, 3),
        labels=labels,
        pictures=number,
        unreadable=unreadable,
    )


def sightings_now(access: Access, *, limit: int) -> list[LabelledPicture]:
    """Do `pictures_of_sightings` from a command that is not asynchronous."""
    return asyncio.run(pictures_of_sightings(access, limit=limit))
