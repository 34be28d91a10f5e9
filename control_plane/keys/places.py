"""Where sealed values stand: every column that rotation has to seal anew.

A test holds this list against the tables: a column of bytes is named here, or said to be no secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Function, LargeBinary, ScalarSelect, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from control_plane.cameras.tables import CameraRow
from control_plane.encryption import HEADER_BYTES, header_of
from control_plane.keys.tables import DataKeyRow, SigningKeyRow
from control_plane.people.tables import EmbeddingRow
from control_plane.sightings.tables import SightingRow
from control_plane.telemetry.tables import TelemetrySessionRow
from control_plane.webhooks.tables import WebhookRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A column of sealed values, and the key of its row."""

    row_id: InstrumentedAttribute[str]
    value: InstrumentedAttribute[Any]

    @property
    def table(self) -> str:
        """Name of the table, part of what a value is bound to."""
        return str(self.value.class_.__tablename__)

    @property
    def column(self) -> str:
        """Name of the column, part of what a value is bound to."""
        return str(self.value.key)

    def count(self) -> ScalarSelect[int]:
        """Return the query of how many values there are."""
        query = select(func.count()).where(self.value.is_not(None))
        return query.select_from(self.value.class_).scalar_subquery()

    def count_of(self, key_id: int) -> ScalarSelect[int]:
        """Return the query of how many values were sealed with a data key."""
        query = select(func.count()).where(self._header() == header_of(key_id))
        return query.select_from(self.value.class_).scalar_subquery()

    async def batch(
        self, session: AsyncSession, *, other_than: int, after: str, limit: int
    ) -> Sequence[tuple[str, bytes]]:
        """Return rows in the order of their keys whose value another key sealed, and lock them.

        A row that somebody else works on is left out: it is sealed by him, or by the next pass.
        """
        query = (
            select(self.row_id, self.value)
            .where(self.value.is_not(None), self.row_id > after)
            .where(self._header() != header_of(other_than))
            .order_by(self.row_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [(row_id, value) for row_id, value in await session.execute(query)]

    async def replace(self, session: AsyncSession, values: Sequence[tuple[str, bytes]]) -> None:
        """Put values in the place of those that ``batch`` locked."""
        table: Any = self.value.class_.__table__
        key, column = table.c[self.row_id.key], table.c[self.column]
        statement = (
            update(table).where(key == bindparam("at")).values({column: bindparam("sealed_anew")})
        )
        connection = await session.connection()
        await connection.execute(
            statement, [{"at": row_id, "sealed_anew": value} for row_id, value in values]
        )

    def _header(self) -> Function[bytes]:
        return func.substr(self.value, 1, HEADER_BYTES, type_=LargeBinary())


SEALED: Final = (
    Place(row_id=SigningKeyRow.id, value=SigningKeyRow.sealed),
    Place(row_id=CameraRow.id, value=CameraRow.connection_sealed),
    Place(row_id=CameraRow.id, value=CameraRow.request_sealed),
    Place(row_id=EmbeddingRow.face_id, value=EmbeddingRow.sealed),
    Place(row_id=SightingRow.id, value=SightingRow.embedding),
    Place(row_id=WebhookRow.id, value=WebhookRow.sealed_url),
    Place(row_id=WebhookRow.id, value=WebhookRow.sealed_secret),
    Place(row_id=WebhookRow.id, value=WebhookRow.sealed_old_secret),
)

# bytes that are no secret, or sealed with something else
UNSEALED: Final = (DataKeyRow.wrapped, TelemetrySessionRow.last_digest)


async def count_sealed_with(session: AsyncSession, key_id: int) -> int:
    """Return how many values of the database a data key sealed."""
    counts = (await session.execute(select(*(place.count_of(key_id) for place in SEALED)))).one()
    return sum(counts)


async def count_sealed(session: AsyncSession) -> int:
    """Return how many sealed values the database holds."""
    counts = (await session.execute(select(*(place.count() for place in SEALED)))).one()
    return sum(counts)
