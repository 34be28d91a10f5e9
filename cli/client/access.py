"""Where the site is and which token opens it, as the caller named them. Pure but for reading files.

The token comes from, in this order: --token-file, DFIP_TOKEN, DFIP_TOKEN_FILE, and the admin token
that `dfip up` left in the default data folder. It is never taken from the command line, where
everybody on the machine could read it.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc

from cli.client.rpc_failures import as_command_failures
from cli.failures import CommandFailed, ExitCode
from cli.places import ADMIN_TOKEN, DEFAULT_SERVER, default_data_dir
from service_runtime.clients import StaticToken, open_channel
from service_runtime.secret import Secret

_LONGEST_TOKEN = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A site's address and the caller's token."""

    server: str
    target: str
    token: Secret


def find_access(
    server: str | None, token_file: Path | None, environ: Mapping[str, str] = os.environ
) -> Access:
    """Return how to reach the site.

    Raises:
        CommandFailed: the address is none, or there is no token.
    """
    address = server or environ.get("DFIP_SERVER") or DEFAULT_SERVER
    return Access(
        server=address, target=grpc_target(address), token=_find_token(token_file, environ)
    )


def grpc_target(server: str) -> str:
    """Return `host:port` of an address such as `http://127.0.0.1:3001`.

    Raises:
        CommandFailed: it is no such address.
    """
    wrong = CommandFailed(
        f"{server!r} is no address of DFIP; write it like {DEFAULT_SERVER}.", code=ExitCode.USAGE
    )
    try:
        parts = urlsplit(server if "://" in server else f"http://{server}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or not host or parts.path not in {"", "/"} or parts.username:
        raise wrong
    return f"{f'[{host}]' if ':' in host else host}:{port or 80}"


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to the site; failed calls in the block become `CommandFailed`."""
    async with open_channel(access.target, token=StaticToken(access.token)) as channel:
        with as_command_failures(access.server):
            yield channel


def _find_token(token_file: Path | None, environ: Mapping[str, str]) -> Secret:
    if token_file is None:
        if own := environ.get("DFIP_TOKEN"):
            return Secret(own.strip())
        if named := environ.get("DFIP_TOKEN_FILE"):
            token_file = Path(named)
    if token_file is not None:
        return _read_token(token_file)
    left = default_data_dir(environ) / ADMIN_TOKEN
    if left.is_file():
        return _read_token(left)
    raise CommandFailed(
        "There is no token to send; start DFIP here with `dfip up`, or name a file with "
        "--token-file, or set DFIP_TOKEN.",
        code=ExitCode.NOT_ALLOWED,
    )


def _read_token(path: Path) -> Secret:
    try:
        with path.expanduser().open(encoding="ascii") as file:
            token = file.read(_LONGEST_TOKEN).strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandFailed(
            f"The token file {path} cannot be read ({why}); name another with --token-file.",
            code=ExitCode.NOT_ALLOWED,
        ) from None
    if not token or not token.isprintable():
        raise CommandFailed(
            f"The token file {path} holds no token; name another with --token-file.",
            code=ExitCode.NOT_ALLOWED,
        )
    return Secret(token)
