"""Which face of a photograph is enrolled, and when none is.

Bad references poison a gallery: a smear matches everybody, and one face under two names makes both
useless. So a photograph passes three gates: one face is meant, it is good enough, and it is not
somebody else's. ``force`` opens the last two. The choice and the sentences are pure functions.
"""

from collections.abc import Sequence
from typing import Final

from control_plane.blobs.directory import BlobDirectory
from control_plane.engines.port import CommitUnknown
from control_plane.face_values import Candidate, Embedding
from control_plane.people import model
from control_plane.people.face_analysis import FaceAnalysis, FoundFace
from control_plane.people.model import Face
from control_plane.people.store import PersonStore, Step
from service_runtime.errors import AlreadyExists, FailedPrecondition, InvalidArgument, ServiceError

LARGEST_PICTURE: Final = 10 * 1024 * 1024
_MOST_BOXES_TOLD: Final = 20


class Enrolment:
    """Turns a photograph into an enrolled face."""

    def __init__(self, store: PersonStore, analysis: FaceAnalysis, blobs: BlobDirectory) -> None:
        self._store = store
        self._analysis = analysis
        self._blobs = blobs

    async def add_face(
        self, person_id: str, image: bytes, *, face_index: int | None, force: bool
    ) -> Face:
        """Enrol a face of a photograph.

        Raises:
            NotFound: There is no such person.
            InvalidArgument: No picture, no face, or several and none chosen.
            FailedPrecondition: The face is too poor, or the person has enough faces.
            AlreadyExists: The face is somebody else's, or the photograph is enrolled already.
            Unavailable: The identity index does not answer.
        """
        check_picture(image)
        person = await self._store.get(person_id)
        if person.face_count >= model.MOST_FACES:
            raise model.too_many_faces(person_id)
        analysis = await self._analysis.analyze(image)
        face = choose_face(analysis.faces, face_index)
        return await self.enrol(
            person_id, face, match_threshold=analysis.match_threshold, force=force
        )

    async def enrol(
        self,
        person_id: str,
        face: FoundFace,
        *,
        match_threshold: float,
        force: bool,
        also: Step | None = None,
    ) -> Face:
        """Enrol a face that was found, and do what else belongs to it in the same transaction.

        Raises:
            NotFound: There is no such person.
            FailedPrecondition: The face is too poor, or the person has enough faces.
            AlreadyExists: The face is somebody else's, or is enrolled already.
            Unavailable: The identity index does not answer.
        """
        if not force:
            refuse_poor(face)
        # from the search to the commit: two people cannot get one face at once
        async with self._store.deciding():
            if not force:
                await self._refuse_somebody_elses(person_id, face.embedding, match_threshold)
            return await self._keep(person_id, face, also)

    async def _refuse_somebody_elses(
        self, person_id: str, embedding: Embedding, match_threshold: float
    ) -> None:
        revision = await self._store.newest_revision(embedding.pack_id)
        if revision == 0:
            return
        close = matching_others(
            await self._analysis.closest(embedding, min_revision=revision),
            person_id,
            match_threshold,
        )
        # the index may not have heard yet of a face that was removed since
        holders = await self._store.holders([candidate.face_id for candidate in close])
        for candidate in close:
            other = holders.get(candidate.face_id)
            if other is not None and other.id != person_id:
                raise AlreadyExists(
                    "FACE_IS_SOMEBODY_ELSE",
                    f"This face matches {other.name}, who is enrolled already; check the"
                    " photograph, or add ?force=true to enrol it all the same.",
                    person_id=other.id,
                    person_name=other.name,
                    face_id=candidate.face_id,
                    score=f"{candidate.score:.3f}",
                )

    async def _keep(self, person_id: str, face: FoundFace, also: Step | None) -> Face:
        blob_id = await self._blobs.put(face.portrait) if face.portrait else None
        try:
            return await self._store.add_face(
                person_id,
                quality=face.quality,
                embedding=face.embedding,
                portrait_blob_id=blob_id,
                also=also,
            )
        except CommitUnknown:
            raise
        except ServiceError:
            # refused, so no row names it; after a crash or a lost commit the sweep decides
            if blob_id is not None:
                await self._blobs.delete([blob_id])
            raise


def check_picture(image: bytes) -> None:
    """Look at the size of what was sent.

    Raises:
        InvalidArgument: There is nothing, or too much.
    """
    if not image:
        raise InvalidArgument(
            "PICTURE_EMPTY",
            "The request has no picture; send a JPEG, PNG or WebP file as its body.",
        )
    if len(image) > LARGEST_PICTURE:
        raise InvalidArgument(
            "PICTURE_TOO_LARGE",
            f"The picture has {len(image) / 2**20:.1f} MiB; send at most"
            f" {LARGEST_PICTURE // 2**20} MiB.",
        )


def choose_face(faces: Sequence[FoundFace], face_index: int | None) -> FoundFace:
    """Return the face that is meant; faces are counted from the largest.

    Raises:
        InvalidArgument: There is none, or several and none was chosen.
    """
    if not faces:
        raise InvalidArgument(
            "NO_FACE_FOUND",
            "No face was found on the picture; send one on which the face is large and seen from"
            " the front.",
        )
    if face_index is None:
        if len(faces) == 1:
            return faces[0]
        raise InvalidArgument(
            "SEVERAL_FACES",
            f"{len(faces)} faces were found on the picture; choose one by its face_index, 0 to"
            f" {len(faces) - 1} (0 is the largest), or send a picture of one person.",
            faces=str(len(faces)),
            boxes=_boxes(faces),
        )
    if face_index >= len(faces):
        raise InvalidArgument(
            "FACE_INDEX_OUT_OF_RANGE",
            f"The picture has {len(faces)} {'face' if len(faces) == 1 else 'faces'}; face_index"
            f" must be 0 to {len(faces) - 1}.",
            faces=str(len(faces)),
            boxes=_boxes(faces),
        )
    return faces[face_index]


def refuse_poor(face: FoundFace) -> None:
    """Let only faces pass that recognition can use.

    Raises:
        FailedPrecondition: The face is poor; the sentence says in what.
    """
    if face.quality.verdict != "poor":
        return
    reasons = ", ".join(reason.replace("_", " ") for reason in face.quality.reasons)
    raise FailedPrecondition(
        "FACE_QUALITY_POOR",
        f"The face is not good enough to recognise somebody by{f' ({reasons})' if reasons else ''};"
        " send a better picture, or add ?force=true to enrol it all the same.",
        reasons=",".join(face.quality.reasons),
        score=f"{face.quality.score:.3f}",
    )


def matching_others(
    candidates: Sequence[Candidate], person_id: str, match_threshold: float
) -> list[Candidate]:
    """Return the candidates at or over the threshold that are other people, closest first."""
    others = [
        candidate
        for candidate in candidates
        if candidate.person_id != person_id and candidate.score >= match_threshold
    ]
    return sorted(others, key=lambda candidate: -candidate.score)


def _boxes(faces: Sequence[FoundFace]) -> str:
    """Return where the faces are: ``x,y,width,height`` of each, in fractions of the picture."""
    boxes = [face.box for face in faces[:_MOST_BOXES_TOLD]]
    return ";".join(f"{b.x:.4f},{b.y:.4f},{b.width:.4f},{b.height:.4f}" for b in boxes)
