"""Our values as the contract's messages; nothing is decided here."""

from dfip.identity_index.v1 import embedding_pb2, identity_index_service_pb2
from face_engine.packs import ModelPack
from face_engine.values import Quality
from identity_index.embeddings import EmbeddingSpace
from identity_index.faiss_gallery import ENGINE
from identity_index.photographs import PhotographedFace
from identity_index.search_loop import Answer, ServedState


def search_response(answer: Answer) -> identity_index_service_pb2.SearchResponse:
    """Return the people found for each probe."""
    return identity_index_service_pb2.SearchResponse(
        results=[
            identity_index_service_pb2.SearchResult(
                candidates=[
                    embedding_pb2.Candidate(
                        person_id=match.person_id, face_id=match.face_id, score=match.score
                    )
                    for match in matches
                ]
            )
            for matches in answer.matches
        ],
        revision=answer.revision,
    )


def analyze_faces_response(
    faces: list[PhotographedFace], *, pack: ModelPack, space: EmbeddingSpace
) -> identity_index_service_pb2.AnalyzeFacesResponse:
    """Return the faces of a photograph with what is needed to enrol or compare them."""
    return identity_index_service_pb2.AnalyzeFacesResponse(
        faces=[
            identity_index_service_pb2.AnalyzedFace(
                box=embedding_pb2.BoundingBox(
                    x=face.box.x, y=face.box.y, width=face.box.width, height=face.box.height
                ),
                score=face.analyzed.score,
                quality=_quality(face.analyzed.quality),
                embedding=space.write(face.analyzed.embedding[None]),
                portrait=face.portrait,
            )
            for face in faces
        ],
        pack_id=pack.pack_id,
        match_threshold=pack.thresholds.match,
        review_threshold=pack.thresholds.review,
        margin=pack.thresholds.margin,
    )


def index_status(
    state: ServedState | None, *, pack_id: str
) -> identity_index_service_pb2.IndexStatus:
    """Return the state of the index; None is an index before its first snapshot."""
    status = identity_index_service_pb2.IndexStatus(
        pack_id=pack_id, engine=ENGINE, accelerator="cpu", ready=state is not None
    )
    if state is not None:
        status.faces = state.faces
        status.persons = state.persons
        status.revision = state.revision
        status.memory_bytes = state.memory_bytes
    return status


def _quality(quality: Quality) -> embedding_pb2.FaceQuality:
    return embedding_pb2.FaceQuality(
        score=quality.score,
        width_px=quality.width_px,
        blur=quality.blur,
        yaw=quality.yaw,
        pitch=quality.pitch,
        brightness=quality.brightness,
        occlusion=quality.occlusion,
        verdict=quality.verdict,
        reasons=quality.reasons,
    )
