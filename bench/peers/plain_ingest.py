"""The plain way to take telemetry in: FastAPI, SQLAlchemy 2 async and asyncpg, one POST a sample.

    DFIP_PEER_DATABASE_URL=postgresql+asyncpg://… python -m uvicorn bench.peers.plain_ingest:app

Written as the description of a control plane asks for it: check that the camera is there, touch
its ``last_contact``, insert the sample, commit, answer. Connections are pooled and kept alive,
statements prepared and cached by the driver. Nothing is left out that such a service would have,
and nothing put in: no tokens, no repetitions, no partitions. ``bench.ingest`` runs it with 1 to 3
workers and keeps the best.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import DateTime, ForeignKey, Index, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE_VARIABLE = "DFIP_PEER_DATABASE_URL"
_POOL = 20
_NOT_FOUND = 404


class Base(DeclarativeBase):
    """Parent of the tables."""


class Camera(Base):
    """A camera, and when its worker was heard last."""

    __tablename__ = "cameras"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    desired_state: Mapped[str]
    last_contact: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Telemetry(Base):
    """A sample."""

    __tablename__ = "telemetry"
    __table_args__ = (Index(None, "camera_id", "timestamp"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    camera_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cameras.id"))
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    occupancy: Mapped[int]
    confidence: Mapped[float]


class Report(BaseModel):
    """The body of a POST."""

    timestamp: datetime
    occupancy: int = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class Answer(BaseModel):
    """What the worker is told."""

    success: bool
    message: str


class PlainIngest:
    """The one route, and its connections."""

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = create_async_engine(url, pool_size=_POOL, max_overflow=0)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def report(self, camera_id: uuid.UUID, report: Report) -> Answer:
        """Take a sample in."""
        async with self._sessions() as session:
            known = await session.scalar(select(Camera.id).where(Camera.id == camera_id))
            if known is None:
                raise HTTPException(_NOT_FOUND, "no such camera")
            touch = update(Camera).where(Camera.id == camera_id)
            await session.execute(touch.values(last_contact=report.timestamp))
            session.add(
                Telemetry(
                    camera_id=camera_id,
                    timestamp=report.timestamp,
                    occupancy=report.occupancy,
                    confidence=report.confidence,
                )
            )
            await session.commit()
        return Answer(success=True, message="Telemetry received")

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:  # noqa: ANN401 - FastAPI's own
        """Close the connections at the end."""
        yield
        await self._engine.dispose()


def _app() -> FastAPI:
    ingest = PlainIngest(os.environ[DATABASE_VARIABLE])
    made = FastAPI(lifespan=ingest.lifespan)
    made.add_api_route("/telemetry/{camera_id}", ingest.report, methods=["POST"])
    return made


def __getattr__(name: str) -> FastAPI:
    """Make the application when uvicorn asks for it, not when the tables are imported."""
    if name == "app":
        return _app()
    raise AttributeError(name)
