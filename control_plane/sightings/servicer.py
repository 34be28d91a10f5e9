"""``SightingService``: takes requests apart, lets the sightings topic do the work, answers."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
from google.api import httpbody_pb2

from control_plane.access import current_scope, require_sighting
from control_plane.blobs.directory import BlobDirectory, BlobMissing
from control_plane.people.model import person_not_found
from control_plane.runtime.store import camera_not_found
from control_plane.sightings import mapping, model
from control_plane.sightings.labels import SightingLabels
from control_plane.sightings.model import Sighting, SightingFilter
from control_plane.sightings.photo_search import PhotoSearch
from control_plane.sightings.search_mapping import search_message
from control_plane.sightings.store import PageKey, SightingStore
from control_plane.sightings.watch import SightingWatch
from dfip.control_plane.v1 import sighting_service_pb2 as pb
from dfip.control_plane.v1 import sighting_service_pb2_grpc
from service_runtime.authentication import current_caller
from service_runtime.errors import InvalidArgument, NotFound
from service_runtime.identifiers import parse_id
from service_runtime.pagination import decode_page_token, encode_page_token
from service_runtime.resume_tokens import ResumeToken

_PAGE = 100


class SightingServicer(sighting_service_pb2_grpc.SightingServiceServicer):
    """Answers for ``dfip.control_plane.v1.SightingService``."""

    def __init__(
        self,
        *,
        store: SightingStore,
        labels: SightingLabels,
        photo_search: PhotoSearch,
        watch: SightingWatch,
        blobs: BlobDirectory,
    ) -> None:
        self._store = store
        self._labels = labels
        self._photo_search = photo_search
        self._watch = watch
        self._blobs = blobs

    async def ListSightings(
        self, request: pb.ListSightingsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListSightingsResponse:
        """List sightings, newest first."""
        shown = _filter(request)
        values = _filter_values(shown)
        after = None
        if request.page_token:
            after = _page_key(decode_page_token(request.page_token, values, key_length=2))
        size = request.page_size or _PAGE
        page = await self._store.page(shown, after=after, limit=size + 1)
        sightings = page[:size]
        more = len(page) > size
        return pb.ListSightingsResponse(
            success=True,
            message=f"{len(sightings)} {'sighting' if len(sightings) == 1 else 'sightings'}",
            data=[mapping.sighting_message(sighting) for sighting in sightings],
            next_page_token=encode_page_token(values, _key(sightings[-1])) if more else "",
        )

    async def GetSighting(
        self, request: pb.GetSightingRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetSightingResponse:
        """Read one sighting."""
        sighting = await self._store.get(model.sighting_id_of(request.sighting_id))
        require_sighting(sighting.id, sighting.camera_id)
        return pb.GetSightingResponse(
            success=True, message="Sighting found", data=mapping.sighting_message(sighting)
        )

    async def GetSightingImage(
        self, request: pb.GetSightingImageRequest, _context: grpc.aio.ServicerContext
    ) -> httpbody_pb2.HttpBody:
        """Return the face with some surroundings, as a JPEG."""
        return await self._picture(request.sighting_id, "face")

    async def GetSightingContext(
        self, request: pb.GetSightingContextRequest, _context: grpc.aio.ServicerContext
    ) -> httpbody_pb2.HttpBody:
        """Return the whole picture in which the face was seen, as a JPEG."""
        return await self._picture(request.sighting_id, "context")

    async def _picture(self, text: str, of: model.PictureOf) -> httpbody_pb2.HttpBody:
        sighting_id = model.sighting_id_of(text)
        camera_id, blob_id = await self._store.picture(sighting_id, of)
        require_sighting(sighting_id, camera_id)
        try:
            if blob_id is None:
                raise BlobMissing
            data = await self._blobs.get(blob_id)
        except BlobMissing:
            raise NotFound(
                "SIGHTING_HAS_NO_IMAGE",
                "This sighting has no picture.",
                sighting_id=sighting_id,
            ) from None
        return httpbody_pb2.HttpBody(content_type="image/jpeg", data=data)

    async def LabelSighting(
        self, request: pb.LabelSightingRequest, _context: grpc.aio.ServicerContext
    ) -> pb.LabelSightingResponse:
        """Take a person's word on who it was."""
        sighting_id = model.sighting_id_of(request.sighting_id)
        await self._labels.label(
            sighting_id,
            request.label,
            person_id=_person_id(request.person_id),
            labelled_by=current_caller().subject,
        )
        sighting = await self._store.get(sighting_id)
        return pb.LabelSightingResponse(
            success=True, message="Sighting labelled", data=mapping.sighting_message(sighting)
        )

    async def SearchByPhoto(
        self, request: pb.SearchByPhotoRequest, _context: grpc.aio.ServicerContext
    ) -> pb.SearchByPhotoResponse:
        """Say who is on a photograph."""
        past = SightingFilter(
            camera_id=_camera_id(request.camera_id),
            since=mapping.moment("since", request.since) if request.HasField("since") else None,
            until=mapping.moment("until", request.until) if request.HasField("until") else None,
        )
        asked = past != SightingFilter()
        answer = await self._photo_search.search(request.image.data, past=past if asked else None)
        return search_message(answer)

    async def WatchSightings(
        self, request: pb.WatchSightingsRequest, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchSightingsResponse]:
        """Follow sightings as they come and change."""
        after = ResumeToken.decode(request.resume_token) if request.resume_token else None
        camera_id = _camera_id(request.camera_id)
        responses = self._watch.watch(camera_id=camera_id, scope=current_scope(), after=after)
        async with contextlib.aclosing(responses):
            async for response in responses:
                yield response


def _filter(request: pb.ListSightingsRequest) -> SightingFilter:
    return SightingFilter(
        camera_id=_camera_id(request.camera_id),
        person_id=_person_id(request.person_id),
        decision=request.decision or None,
        since=mapping.moment("since", request.since) if request.HasField("since") else None,
        until=mapping.moment("until", request.until) if request.HasField("until") else None,
        cameras=current_scope().cameras,
    )


def _filter_values(shown: SightingFilter) -> dict[str, str | int | None]:
    return {
        "list": "sightings",
        "camera_id": shown.camera_id,
        "person_id": shown.person_id,
        "decision": shown.decision,
        "since": shown.since.isoformat() if shown.since is not None else None,
        "until": shown.until.isoformat() if shown.until is not None else None,
    }


def _key(sighting: Sighting) -> list[str]:
    return [sighting.started_at.astimezone(UTC).isoformat(), sighting.id]


def _page_key(values: list[str]) -> PageKey:
    try:
        started_at = datetime.fromisoformat(values[0])
    except ValueError:
        started_at = None
    if started_at is None or started_at.tzinfo is None:
        raise InvalidArgument(
            "PAGE_TOKEN_INVALID", "The page token is not valid; ask for the first page again."
        )
    return started_at, values[1]


def _camera_id(text: str) -> str | None:
    try:
        return parse_id(text, noun="camera") if text else None
    except NotFound:
        raise camera_not_found(text[:64]) from None


def _person_id(text: str) -> str | None:
    try:
        return parse_id(text, noun="person") if text else None
    except NotFound:
        raise person_not_found(text[:64]) from None
