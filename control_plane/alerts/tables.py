"""The rows of rules, watch lists and alerts, and what judging remembers.

People, cameras and sightings are named without foreign keys: rows of two topics are tied by the
transactions that write them (``removal.py`` has what goes with a person and with a camera).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.tables import Base, sorted_text

_ID = String(36)


class AlertRuleRow(Base):
    """What raises alerts."""

    __tablename__ = "alert_rules"
    __table_args__ = (Index(None, "sort_key", "id"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    # as much of the name, folded, as fits into a page token: what lists are sorted by
    sort_key: Mapped[str] = mapped_column(sorted_text(300))
    description: Mapped[str] = mapped_column(String(2000))
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    enabled: Mapped[bool]
    person_id: Mapped[str | None] = mapped_column(_ID, index=True)
    watch_list_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("watch_lists.id"), index=True)
    # the rest of its condition
    condition: Mapped[dict[str, Any]]
    cooldown_s: Mapped[int] = mapped_column(Integer)
    # facts from before are not its own
    active_since: Mapped[datetime]
    # counts every change; the etag
    version: Mapped[int] = mapped_column(Integer)
    # a repeated request finds the rule that it made
    request_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WatchListRow(Base):
    """A list of people."""

    __tablename__ = "watch_lists"
    __table_args__ = (Index(None, "sort_key", "id"),)

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    sort_key: Mapped[str] = mapped_column(sorted_text(300))
    description: Mapped[str] = mapped_column(String(2000))
    version: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WatchListMemberRow(Base):
    """A person on a watch list."""

    __tablename__ = "watch_list_members"

    watch_list_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("watch_lists.id", ondelete="CASCADE"), primary_key=True
    )
    person_id: Mapped[str] = mapped_column(_ID, primary_key=True, index=True)


class AlertRow(Base):
    """An alert. Neither its message nor its details hold the name of a person."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(None, "raised_at", "id"),
        Index(None, "rule_id", "raised_at", "id"),
        Index(None, "camera_id", "raised_at", "id"),
        Index(None, "person_id", "raised_at", "id"),
        Index(None, "state", "raised_at", "id"),
        Index(None, "sighting_id"),
        # a sighting raises one alert of a rule, however often it is updated
        UniqueConstraint("rule_id", "sighting_id"),
    )

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    # no foreign key: an alert outlives its rule
    rule_id: Mapped[str] = mapped_column(_ID)
    rule_name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    camera_id: Mapped[str] = mapped_column(_ID)
    person_id: Mapped[str | None] = mapped_column(_ID)
    sighting_id: Mapped[str | None] = mapped_column(_ID)
    zone: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    raised_at: Mapped[datetime]
    message: Mapped[str] = mapped_column(String(1200))
    details: Mapped[dict[str, Any]]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(2000))


class AlertStandingRow(Base):
    """How things stand between a rule and a subject; see ``judging.Standing``."""

    __tablename__ = "alert_standings"

    rule_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    subject: Mapped[str] = mapped_column(String(300), primary_key=True)
    camera_id: Mapped[str] = mapped_column(_ID, index=True)
    person_id: Mapped[str | None] = mapped_column(_ID, index=True)
    since: Mapped[datetime | None]
    is_told: Mapped[bool]
    raised_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class AlertCursorRow(Base):
    """The one row that says how far the feed was judged; who holds it is the one who judges."""

    __tablename__ = "alert_cursor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)


class OccupancyLevelRow(Base):
    """Which rules' limits the newest count of a camera and zone was over."""

    __tablename__ = "occupancy_levels"

    camera_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    zone: Mapped[str] = mapped_column(String(200), primary_key=True)
    # ids and versions of the rules
    over: Mapped[list[str]]
    changed_us: Mapped[int] = mapped_column(BigInteger)
