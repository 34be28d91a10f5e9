"""All tables in one place, and the migration that runs before the control plane serves.

A topic that adds a table adds its module here and a revision in ``control_plane/migrations``; a
test holds the two together.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import control_plane.blobs.tables
import control_plane.cameras.tables
import control_plane.events.tables
import control_plane.people.tables
import control_plane.runtime.tables
import control_plane.sightings.tables
import control_plane.telemetry.tables  # noqa: F401 - each import registers its tables
from control_plane.database import Database
from control_plane.tables import Base

metadata = Base.metadata
_MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision, in one transaction."""
    async with database.write() as tx:
        connection = await tx.session.connection()
        await connection.run_sync(upgrade)


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest revision, in the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
