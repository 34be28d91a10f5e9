"""Dump and restore of a PostgreSQL database, by its own programs.

They get the address in their environment and the password in a file of ours that is removed after:
neither stands in a process list.
"""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url

from control_plane.backups.model import BackupError
from service_runtime.secret import Secret
from service_runtime.structured_logging import get_logger

_LONGEST_S: Final = 6 * 3600.0
_log = get_logger(__name__)


class PostgresTools:
    """``pg_dump`` and ``pg_restore`` for one database.

    Args:
        url: Address of the database.
        folder: Where the programs are; None looks in PATH.
        scratch: Where the file with the password may stand while they run.
    """

    def __init__(self, url: Secret, folder: Path | None, scratch: Path) -> None:
        self._url = url
        self._folder = folder
        self._scratch = scratch

    async def dump(self, target: Path, *, snapshot: str) -> None:
        """Write the database as another transaction sees it.

        Raises:
            BackupError: There is no ``pg_dump``, or it failed.
        """
        program = self._program("pg_dump")
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
        await self._run(program, (*options, f"--file={target}"))

    async def restore(self, source: Path) -> None:
        """Fill an empty database, as a whole or not at all.

        Raises:
            BackupError: There is no ``pg_restore``, or it failed.
        """
        program = self._program("pg_restore")
        database = make_url(self._url.reveal()).database or "postgres"
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        await self._run(program, (*options, f"--dbname={database}", str(source)))

    def _program(self, name: str) -> str:
        found = shutil.which(name, path=None if self._folder is None else str(self._folder))
        if found is None:
            raise BackupError(
                f"{name} is not installed here; install PostgreSQL's client programs of the"
                " server's version, or name their folder with DFIP_POSTGRES_BIN_DIR."
            )
        return found

    async def _run(self, program: str, options: Sequence[str]) -> None:
        async with self._environment() as environ:
            process = _start((program, "--no-password", *options), environ)
            ending = asyncio.ensure_future(asyncio.to_thread(process.communicate))
            try:
                async with asyncio.timeout(_LONGEST_S):
                    _, said = await asyncio.shield(ending)
            except TimeoutError:
                raise BackupError(f"{program} did not end; look at the database server.") from None
            finally:
                process.kill()  # nothing, once it has ended
                await ending
        if process.returncode:
            # what it says may repeat rows; its kind of failure is enough for the log
            _log.error("backup.program_failed", program=program, status=process.returncode)
            mismatch = b"server version" in said
            raise BackupError(
                f"{program} is older than the database server; install its version, or name its"
                " folder with DFIP_POSTGRES_BIN_DIR."
                if mismatch
                else f"{program} failed with status {process.returncode}; check that the database"
                " can be reached and that its user may read or write all of it."
            )

    @asynccontextmanager
    async def _environment(self) -> AsyncIterator[Mapping[str, str]]:
        url = make_url(self._url.reveal())
        environ = _address(url)
        password_file = self._scratch / f".pgpass.{secrets.token_hex(4)}"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"*:*:*:*:{_escaped(str(url.password or ''))}\n")
            yield environ | {"PGPASSFILE": str(password_file)}
        finally:
            password_file.unlink(missing_ok=True)


def _start(command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a program without the loop: uvloop forks, and gRPC's part in that kills children."""
    return subprocess.Popen(  # noqa: S603 the program is PostgreSQL's own
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _address(url: URL) -> dict[str, str]:
    host = url.query.get("host") or url.host or "localhost"
    known = {
        "PGHOST": host if isinstance(host, str) else host[0],
        "PGPORT": str(url.port) if url.port else "",
        "PGUSER": url.username or "",
        "PGDATABASE": url.database or "",
        "PATH": os.environ.get("PATH", ""),
        "LC_ALL": "C",
    }
    return {name: value for name, value in known.items() if value}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
