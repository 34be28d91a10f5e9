"""What a search by photograph found, as the contract has it."""

from control_plane.sightings.mapping import sighting_message
from control_plane.sightings.photo_search import PhotoSearchAnswer, SearchedFace
from dfip.control_plane.v1 import sighting_service_pb2 as pb
from dfip.identity_index.v1 import embedding_pb2


def search_message(answer: PhotoSearchAnswer) -> pb.SearchByPhotoResponse:
    """Return the contract's answer."""
    count = len(answer.faces)
    return pb.SearchByPhotoResponse(
        success=True,
        message=f"{count} {'face' if count == 1 else 'faces'} found",
        data=[_face(face) for face in answer.faces],
        sightings_compared=answer.compared,
        truncated=answer.truncated,
    )


def _face(searched: SearchedFace) -> pb.FoundFace:
    return pb.FoundFace(
        box=searched.face.box.to_proto(),
        quality=searched.face.quality.to_proto(),
        decision=searched.decision,
        candidates=[
            embedding_pb2.Candidate(
                person_id=named.candidate.person_id,
                person_name=named.person_name,
                face_id=named.candidate.face_id,
                score=named.candidate.score,
            )
            for named in searched.candidates
        ],
        sightings=[
            pb.SimilarSighting(score=one.score, sighting=sighting_message(one.sighting))
            for one in searched.sightings
        ],
    )
