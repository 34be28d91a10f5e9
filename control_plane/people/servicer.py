"""``PersonService``: takes requests apart, lets the people topic do the work, answers."""

import contextlib
from collections.abc import AsyncIterator

import grpc

from control_plane.people import mapping, model
from control_plane.people.enrolment import Enrolment
from control_plane.people.erasure import Erasure
from control_plane.people.face_watch import FaceWatch
from control_plane.people.merging import Merging
from control_plane.people.store import PersonStore
from control_plane.sightings.enrolment import SightingEnrolment
from control_plane.sightings.model import sighting_id_of
from dfip.control_plane.v1 import person_service_pb2 as pb
from dfip.control_plane.v1 import person_service_pb2_grpc
from service_runtime.authentication import current_caller
from service_runtime.errors import NotFound
from service_runtime.identifiers import parse_id
from service_runtime.pagination import decode_page_token, encode_page_token
from service_runtime.resume_tokens import ResumeToken

_PAGE = 100


class PersonServicer(person_service_pb2_grpc.PersonServiceServicer):
    """Answers for ``dfip.control_plane.v1.PersonService``."""

    def __init__(
        self,
        *,
        store: PersonStore,
        enrolment: Enrolment,
        from_sightings: SightingEnrolment,
        merging: Merging,
        erasure: Erasure,
        watch: FaceWatch,
    ) -> None:
        self._store = store
        self._enrolment = enrolment
        self._from_sightings = from_sightings
        self._merging = merging
        self._erasure = erasure
        self._watch = watch

    async def CreatePerson(
        self, request: pb.CreatePersonRequest, _context: grpc.aio.ServicerContext
    ) -> pb.CreatePersonResponse:
        """Register a person."""
        person = await self._store.create(
            name=model.clean_name(request.name),
            notes=model.clean_text("notes", request.notes),
            labels=model.clean_labels(request.labels),
            request_id=request.request_id or None,
        )
        return pb.CreatePersonResponse(
            success=True, message="Person registered", data=mapping.person_message(person)
        )

    async def GetPerson(
        self, request: pb.GetPersonRequest, _context: grpc.aio.ServicerContext
    ) -> pb.GetPersonResponse:
        """Read one person."""
        person = await self._store.get(_person_id(request.person_id))
        return pb.GetPersonResponse(
            success=True, message="Person found", data=mapping.person_message(person)
        )

    async def ListPersons(
        self, request: pb.ListPersonsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListPersonsResponse:
        """List people by name."""
        filter_values: dict[str, str | int | None] = {"list": "persons", "name": request.name}
        after = None
        if request.page_token:
            key = decode_page_token(request.page_token, filter_values, key_length=2)
            after = (key[0], key[1])
        size = request.page_size or _PAGE
        page = await self._store.list_page(name=request.name, after=after, limit=size + 1)
        shown = page[:size]
        more = len(page) > size
        return pb.ListPersonsResponse(
            success=True,
            message=f"{len(shown)} {'person' if len(shown) == 1 else 'people'}",
            data=[mapping.person_message(person) for _, person in shown],
            next_page_token=encode_page_token(filter_values, list(shown[-1][0])) if more else "",
        )

    async def UpdatePerson(
        self, request: pb.UpdatePersonRequest, _context: grpc.aio.ServicerContext
    ) -> pb.UpdatePersonResponse:
        """Change what the request names."""
        person_id = _person_id(request.person_id)
        person = await self._store.update(person_id, mapping.change_of(request))
        return pb.UpdatePersonResponse(
            success=True, message="Person updated", data=mapping.person_message(person)
        )

    async def DeletePerson(
        self, request: pb.DeletePersonRequest, _context: grpc.aio.ServicerContext
    ) -> pb.DeletePersonResponse:
        """Erase a person and answer the receipt."""
        receipt = await self._erasure.erase_person(_person_id(request.person_id))
        return pb.DeletePersonResponse(
            success=True, message="Person erased", data=mapping.receipt_message(receipt)
        )

    async def AddFace(
        self, request: pb.AddFaceRequest, _context: grpc.aio.ServicerContext
    ) -> pb.AddFaceResponse:
        """Enrol a face from a photograph."""
        face = await self._enrolment.add_face(
            _person_id(request.person_id),
            request.image.data,
            face_index=request.face_index if request.HasField("face_index") else None,
            force=request.force,
        )
        return pb.AddFaceResponse(
            success=True, message="Face enrolled", data=mapping.face_message(face)
        )

    async def AddFaceFromSighting(
        self, request: pb.AddFaceFromSightingRequest, _context: grpc.aio.ServicerContext
    ) -> pb.AddFaceFromSightingResponse:
        """Enrol the face of a sighting."""
        face = await self._from_sightings.add_face(
            _person_id(request.person_id),
            sighting_id_of(request.sighting_id),
            force=request.force,
            labelled_by=current_caller().subject,
        )
        return pb.AddFaceFromSightingResponse(
            success=True, message="Face enrolled", data=mapping.face_message(face)
        )

    async def MergePersons(
        self, request: pb.MergePersonsRequest, _context: grpc.aio.ServicerContext
    ) -> pb.MergePersonsResponse:
        """Make two records of one person into one."""
        person = await self._merging.merge(
            _person_id(request.person_id), _person_id(request.other_person_id)
        )
        return pb.MergePersonsResponse(
            success=True, message="People merged", data=mapping.person_message(person)
        )

    async def ListFaces(
        self, request: pb.ListFacesRequest, _context: grpc.aio.ServicerContext
    ) -> pb.ListFacesResponse:
        """List the enrolled faces of a person."""
        faces = await self._store.faces(_person_id(request.person_id))
        return pb.ListFacesResponse(
            success=True,
            message=f"{len(faces)} {'face' if len(faces) == 1 else 'faces'}",
            data=[mapping.face_message(face) for face in faces],
        )

    async def DeleteFace(
        self, request: pb.DeleteFaceRequest, _context: grpc.aio.ServicerContext
    ) -> pb.DeleteFaceResponse:
        """Remove an enrolled face."""
        person_id = _person_id(request.person_id)
        await self._erasure.remove_face(person_id, parse_id(request.face_id, noun="face"))
        return pb.DeleteFaceResponse(success=True, message="Face removed")

    async def WatchFaces(
        self, request: pb.WatchFacesRequest, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchFacesResponse]:
        """Follow all enrolled faces of a model pack."""
        after = ResumeToken.decode(request.resume_token) if request.resume_token else None
        messages = self._watch.watch(pack_id=request.pack_id, after=after)
        async with contextlib.aclosing(messages):
            async for message in messages:
                yield message


def _person_id(text: str) -> str:
    try:
        return parse_id(text, noun="person")
    except NotFound:
        raise model.person_not_found(text[:64]) from None
