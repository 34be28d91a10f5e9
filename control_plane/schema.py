"""All tables in one place, and the migration that runs before the control plane serves.

A topic that adds a table adds its module here and a revision in ``control_plane/migrations``; a
test holds the two together. There is one history of revisions for both engines. After it, the feed
gets a new id where the database is not the one that its events were written to: resume tokens name
the feed.
"""

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

import control_plane.alerts.tables
import control_plane.audit.tables
import control_plane.blobs.tables
import control_plane.cameras.tables
import control_plane.events.tables
import control_plane.keys.tables
import control_plane.leases.tables
import control_plane.people.tables
import control_plane.retention_policy.tables
import control_plane.runtime.tables
import control_plane.sightings.tables
import control_plane.telemetry.tables
import control_plane.tokens.tables
import control_plane.webhooks.tables  # noqa: F401 - each import registers its tables
from control_plane.database import Database
from control_plane.events.tables import FeedRow
from control_plane.tables import Base
from service_runtime.identifiers import new_id

metadata = Base.metadata
MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision, in one transaction."""
    async with database.write() as tx:
        await database.prepare_migration(tx)
        connection = await tx.session.connection()
        await connection.run_sync(upgrade)
        feed = (await tx.session.scalars(select(FeedRow).with_for_update())).one()
        history = await database.history(tx.session)
        if feed.history is not None and feed.history != history:
            feed.feed_id = new_id()
        feed.history = history


async def is_migrated(database: Database) -> bool:
    """Tell whether the database is at the newest revision that this program knows."""
    async with database.read() as session:
        return await (await session.connection()).run_sync(_is_newest)


def _is_newest(connection: Connection) -> bool:
    return MigrationContext.configure(connection).get_current_revision() == _newest()


@functools.cache
def _newest() -> str | None:
    """Return the newest revision that this program knows."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest revision, in the connection's transaction."""
    if not _is_newest(connection):
        command.upgrade(configuration(connection), "head")


def configuration(connection: Connection) -> Config:
    """Return what alembic's commands work with: our revisions, on the caller's connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
