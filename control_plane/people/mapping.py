"""People and faces between the contract and the domain."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.face_values import Embedding
from control_plane.people import model
from control_plane.people.model import ErasureReceipt, Face, Person, PersonChange
from dfip.control_plane.v1 import face_pb2, person_pb2, person_service_pb2


def person_message(person: Person) -> person_pb2.Person:
    """Return the contract's person."""
    return person_pb2.Person(
        id=person.id,
        name=person.name,
        notes=person.notes,
        labels=person.labels,
        face_count=person.face_count,
        last_seen_at=_timestamp(person.last_seen_at),
        created_at=_timestamp(person.created_at),
        updated_at=_timestamp(person.updated_at),
        etag=person.etag,
    )


def change_of(request: person_service_pb2.UpdatePersonRequest) -> PersonChange:
    """Return what a request changes.

    Raises:
        InvalidArgument: A value breaks a rule.
    """
    labels = None
    if request.HasField("labels"):
        labels = model.clean_labels(request.labels.values)
    return PersonChange(
        name=model.clean_name(request.name) if request.HasField("name") else None,
        notes=model.clean_text("notes", request.notes) if request.HasField("notes") else None,
        labels=labels,
        etag=request.etag,
    )


def face_message(face: Face) -> face_pb2.Face:
    """Return the contract's face."""
    return face_pb2.Face(
        id=face.id,
        person_id=face.person_id,
        quality=face.quality.to_proto(),
        pack_id=face.pack_id,
        revision=face.revision,
        created_at=_timestamp(face.created_at),
    )


def enrolled_message(face: Face, embedding: Embedding) -> person_service_pb2.EnrolledFace:
    """Return a face as the index needs it."""
    return person_service_pb2.EnrolledFace(
        face_id=face.id, person_id=face.person_id, embedding=embedding.to_proto()
    )


def receipt_message(receipt: ErasureReceipt) -> person_pb2.ErasureReceipt:
    """Return the contract's receipt."""
    return person_pb2.ErasureReceipt(
        id=receipt.id,
        person_id=receipt.person_id,
        erased_at=_timestamp(receipt.erased_at),
        faces=receipt.faces,
        sightings=receipt.sightings,
        pictures=receipt.pictures,
        alerts=receipt.alerts,
        alert_rules=receipt.alert_rules,
        watch_lists=receipt.watch_lists,
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
