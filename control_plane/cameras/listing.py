"""Pages of cameras, by name. A page goes on after the last row seen, whatever was added since."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, and_, case, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.cameras.tables import CameraRow
from control_plane.runtime.model import SILENCE
from control_plane.runtime.tables import CameraRuntimeRow
from service_runtime.pagination import decode_page_token, encode_page_token


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFilter:
    """Which cameras to list; empty text filters nothing, and ``cameras`` None lets all through."""

    health: str = ""
    desired_state: str = ""
    location: str = ""
    cameras: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPage:
    """Cameras with their runtimes, and the token of the next page, empty on the last."""

    cameras: tuple[tuple[CameraRow, CameraRuntimeRow], ...]
    next_page_token: str


async def read_page(
    session: AsyncSession,
    wanted: CameraFilter,
    *,
    page_size: int,
    page_token: str,
    now: datetime,
) -> CameraPage:
    """Read a page; ``page_size`` 0 reads all.

    Raises:
        InvalidArgument: ``PAGE_TOKEN_INVALID``.
    """
    filter_values: dict[str, str | int | None] = {
        "list": "cameras",
        "health": wanted.health,
        "desired_state": wanted.desired_state,
        "location": wanted.location,
    }
    query = _query(wanted, now)
    if page_token:
        key = decode_page_token(page_token, filter_values, key_length=2)
        query = query.where(tuple_(CameraRow.name_key, CameraRow.id) > tuple_(*key))
    if page_size:
        query = query.limit(page_size + 1)
    rows = (await session.execute(query)).all()
    following = ""
    if page_size and len(rows) > page_size:
        rows = rows[:page_size]
        last, _ = rows[-1]
        following = encode_page_token(filter_values, [last.name_key, last.id])
    return CameraPage(cameras=tuple(_pair(row) for row in rows), next_page_token=following)


def _pair(row: Row[CameraRow, CameraRuntimeRow]) -> tuple[CameraRow, CameraRuntimeRow]:
    return row[0], row[1]


def _query(wanted: CameraFilter, now: datetime) -> Select[CameraRow, CameraRuntimeRow]:
    query = (
        select(CameraRow, CameraRuntimeRow)
        .join(CameraRuntimeRow, CameraRuntimeRow.camera_id == CameraRow.id)
        .order_by(CameraRow.name_key, CameraRow.id)
    )
    if wanted.cameras is not None:
        query = query.where(CameraRow.id.in_(wanted.cameras))
    if wanted.desired_state:
        query = query.where(CameraRow.desired_state == wanted.desired_state)
    if wanted.location:
        query = query.where(CameraRow.location == wanted.location)
    if wanted.health:
        query = query.where(_health(now) == wanted.health)
    return query


def _health(now: datetime) -> ColumnElement[str]:
    """``runtime.model.current_health`` in SQL; a test holds the two together."""
    status, last_sign = CameraRuntimeRow.worker_status, CameraRuntimeRow.last_sign_at
    silent = or_(last_sign.is_(None), last_sign < now - SILENCE)
    lively = status.in_(["starting", "running", "stopping"])
    return case(
        (status.in_(["stopped", "pending"]), "unknown"),
        (and_(lively, silent), "unknown"),
        else_=CameraRuntimeRow.health_status,
    )
