"""The files that let a site's services and its administrator in, written before anything serves.

The public keys, a token for each machine role, and the administrator's first token. Machine tokens
are short-lived and written anew every day; services read their file again when it changes. The
administrator's is kept while it is good, because people copy it.
"""

import asyncio
import json
from pathlib import Path
from typing import Final

from control_plane.atomic_files import write_atomically
from control_plane.tokens.issuer import TokenIssuer
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import TokenVerifier, role_name
from service_runtime.clock import Clock
from service_runtime.errors import ServiceError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)
_DAY_S: Final = 24 * 3600.0
MACHINE_LIFETIME_S: Final = 3 * _DAY_S
ADMIN_LIFETIME_S: Final = 30 * _DAY_S
REFRESH_S: Final = _DAY_S
ADMIN_FILE: Final = "admin.token"
_RETRY_S: Final = 60.0
_MACHINES: Final = (
    policy_pb2.ROLE_CONTROL_PLANE,
    policy_pb2.ROLE_MANAGER,
    policy_pb2.ROLE_INDEX,
)


class TokenBootstrap:
    """Writes the token files of a site; ``run`` is the task that keeps them fresh.

    Args:
        issuer: Has its keys already.
        clock: Where time comes from.
        jwks_file: Public keys, for every service and Envoy.
        tokens_dir: Gets ``control_plane.token``, ``manager.token`` and ``index.token``.
        data_dir: Gets ``admin.token``, the administrator's.
    """

    def __init__(
        self,
        issuer: TokenIssuer,
        clock: Clock,
        *,
        tokens_dir: Path,
        data_dir: Path,
        jwks_file: Path,
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._tokens_dir = tokens_dir
        self._admin_file = data_dir / ADMIN_FILE
        self._jwks_file = jwks_file

    async def write(self) -> None:
        """Write every file that is missing, old or of another key.

        Raises:
            OSError: A folder is missing, full or not ours.
        """
        await asyncio.to_thread(self._write)

    async def run(self) -> None:
        """Write the files anew every day."""
        wait_s = REFRESH_S
        while True:
            await self._clock.sleep(wait_s)
            try:
                await self.write()
                wait_s = REFRESH_S
            except OSError as error:
                _log.error("tokens.refresh_failed", errno=error.errno)
                wait_s = _RETRY_S

    def _write(self) -> None:
        keys = json.dumps(self._issuer.jwks(), indent=2).encode()
        if not self._jwks_file.is_file() or self._jwks_file.read_bytes() != keys:
            self._jwks_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._jwks_file, keys)
        self._tokens_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for role in _MACHINES:
            name = role_name(role)
            self._write_token(
                self._tokens_dir / f"{name}.token",
                role,
                subject=name,
                lifetime_s=MACHINE_LIFETIME_S,
            )
        if not self._is_good(self._admin_file):
            self._write_token(
                self._admin_file,
                policy_pb2.ROLE_ADMIN,
                subject="administrator",
                lifetime_s=ADMIN_LIFETIME_S,
            )

    def _write_token(
        self, path: Path, role: policy_pb2.Role, *, subject: str, lifetime_s: float
    ) -> None:
        issued = self._issuer.issue(role, subject=subject, lifetime_s=lifetime_s)
        write_atomically(path, issued.token.reveal().encode())

    def _is_good(self, path: Path) -> bool:
        """Return whether the file holds an administrator's token of this key for another day."""
        try:
            token = path.read_text(encoding="ascii").strip()
            caller = TokenVerifier(self._jwks_file, self._clock).verify(token)
        except (FileNotFoundError, UnicodeDecodeError, ServiceError):
            return False
        left_s = (caller.expires_at - self._clock.now()).total_seconds()
        return caller.role == policy_pb2.ROLE_ADMIN and left_s > _DAY_S
