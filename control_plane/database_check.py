"""``python -m control_plane.database_check``: whether the database can be reached, as JSON.

For whoever looks after a site: it reads what there is, makes nothing and migrates nothing, so it
may run beside a control plane, and before the first. The address, which holds a password, is never
printed; neither is an exception's text.
"""

import asyncio
import json
import sqlite3
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from control_plane.data_dir import DATABASE_FILE
from control_plane.database import Database
from control_plane.engines.port import DatabaseUnavailable
from control_plane.engines.postgres import PostgresEngine, PostgresUrlError
from control_plane.schema import MIGRATIONS
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from service_runtime.settings import SettingsError, load_settings

State = Literal["ok", "older", "foreign", "empty", "absent", "unreachable", "misnamed"]
_REVISION = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """Where the database is.

    Attributes:
        data_dir: The control plane's data directory, with the SQLite file.
        database_url: Address of a PostgreSQL database, where one is used.
    """

    data_dir: Path
    database_url: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What was found.

    Attributes:
        engine: ``sqlite`` or ``postgresql``.
        state: ``ok`` where the revision is this program's; ``older`` is migrated at the next start;
            ``foreign`` is of another version; ``empty`` and ``absent`` are made at the first start.
        revision: Of the schema, empty where there is none.
        head: The revision that this program works with.
    """

    engine: str
    state: State
    revision: str = ""
    head: str = ""


async def check(settings: CheckSettings) -> DatabaseState:
    """Look at the database."""
    if settings.database_url is None:
        return _look_at_file(settings.data_dir / DATABASE_FILE)
    try:
        engine = PostgresEngine(settings.database_url, SystemClock())
    except PostgresUrlError:
        return DatabaseState(engine="postgresql", state="misnamed")
    database = Database(engine, SystemClock())
    try:
        await database.open()
        async with database.read() as session:
            try:
                revision = str(await session.scalar(text(_REVISION)))
            except DBAPIError:
                return DatabaseState(engine="postgresql", state="empty")
        return _judged("postgresql", revision)
    except (DatabaseUnavailable, DBAPIError, OSError):
        return DatabaseState(engine="postgresql", state="unreachable")
    finally:
        await database.close()


def _look_at_file(path: Path) -> DatabaseState:
    if not path.exists():
        return DatabaseState(engine="sqlite", state="absent")
    try:
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return DatabaseState(engine="sqlite", state="empty")
            (revision,) = connection.execute(_REVISION).fetchone()
    except (sqlite3.Error, TypeError):
        return DatabaseState(engine="sqlite", state="unreachable")
    finally:
        if "connection" in locals():
            connection.close()
    return _judged("sqlite", str(revision))


def _judged(engine: str, revision: str) -> DatabaseState:
    scripts = ScriptDirectory(str(MIGRATIONS))
    head = str(scripts.get_current_head())
    known = {script.revision for script in scripts.walk_revisions()}
    state: State = "foreign"
    if revision in known:
        state = "ok" if revision == head else "older"
    return DatabaseState(engine=engine, state=state, revision=revision, head=head)


def main() -> int:
    """Print the state; returns 2 where the settings are wrong."""
    try:
        found = asyncio.run(check(load_settings(CheckSettings)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{json.dumps(asdict(found))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
