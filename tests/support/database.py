"""Fresh databases, fast: migrated once for the whole run, then copied for each test.

The migration itself is tested in ``tests/unit/control_plane/test_schema.py`` and by every process
that starts from nothing.
"""

import functools
import sqlite3
import tempfile
import uuid
from pathlib import Path

from sqlalchemy import create_engine

from control_plane.schema import upgrade


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dfip.db"
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()
        return file.read_bytes()


def place_database(path: Path) -> None:
    """Put a fresh database at ``path``, where there is none; its feed has an id of its own."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(_migrated())
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE feed SET feed_id = ?", (str(uuid.uuid4()),))
    connection.close()
