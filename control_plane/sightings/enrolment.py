"""Enrolling the face of a sighting: what the camera saw becomes a reference of a person.

The embedding is the sighting's own, so nothing is analysed again; the picture is copied, because
the sighting goes by age and the enrolment stays. The gates are those of a photograph
(``people/enrolment.py``), and the sighting is labelled in the transaction that enrols.
"""

from control_plane.blobs.directory import BlobDirectory, BlobMissing
from control_plane.database import Database, Transaction
from control_plane.encryption import Vault
from control_plane.face_values import Box, Embedding, Quality
from control_plane.people.enrolment import Enrolment
from control_plane.people.face_analysis import FoundFace
from control_plane.people.model import Face
from control_plane.sightings.labels import put_label
from control_plane.sightings.model import sighting_not_found
from control_plane.sightings.tables import SightingRow


class SightingEnrolment:
    """Turns a sighting into an enrolled face."""

    def __init__(
        self, database: Database, vault: Vault, blobs: BlobDirectory, enrolment: Enrolment
    ) -> None:
        self._database = database
        self._vault = vault
        self._blobs = blobs
        self._enrolment = enrolment

    async def add_face(
        self, person_id: str, sighting_id: str, *, force: bool, labelled_by: str
    ) -> Face:
        """Enrol the face of a sighting.

        Raises:
            NotFound: There is no such person, or no such sighting.
            FailedPrecondition: The face is too poor, or the person has enough faces.
            AlreadyExists: The face is somebody else's, or is enrolled already.
            Unavailable: The identity index does not answer.
        """
        async with self._database.read() as session:
            row = await session.get(SightingRow, sighting_id)
        if row is None:
            raise sighting_not_found(sighting_id)

        async def label(tx: Transaction) -> None:
            await put_label(tx, sighting_id, "move", person_id=person_id, labelled_by=labelled_by)

        return await self._enrolment.enrol(
            person_id,
            FoundFace(
                box=Box(**row.box),
                quality=Quality.from_json(row.quality),
                embedding=open_sighting_embedding(self._vault, row),
                portrait=await self._picture(row.crop_blob_id),
            ),
            match_threshold=row.threshold,
            force=force,
            also=label,
        )

    async def _picture(self, blob_id: str | None) -> bytes:
        """Return the crop; nothing where the sighting has none."""
        try:
            return await self._blobs.get(blob_id) if blob_id is not None else b""
        except BlobMissing:
            return b""


def open_sighting_embedding(vault: Vault, row: SightingRow) -> Embedding:
    """Open the sealed embedding of a sighting."""
    vector = vault.open(row.embedding, table="sightings", column="embedding", row_id=row.id)
    return Embedding(pack_id=row.pack_id, dimension=row.dimension, vector=vector)
