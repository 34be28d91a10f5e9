"""A site's token files: there before anything serves, fresh while it runs."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.tokens.bootstrap import REFRESH_S, TokenBootstrap
from control_plane.tokens.issuer import SigningKey
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import TokenVerifier
from tests.support.keys import issuer_with
from tests.support.virtual_clock import VirtualClock

MACHINES = {
    "control_plane.token": policy_pb2.ROLE_CONTROL_PLANE,
    "manager.token": policy_pb2.ROLE_MANAGER,
    "index.token": policy_pb2.ROLE_INDEX,
}


class Site:
    """The folders of a site, and a control plane's start on them."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.data_dir = folder / "data"
        self.data_dir.mkdir()
        self.tokens_dir = folder / "tokens"
        self.jwks_file = folder / "run" / "jwks.json"
        self.key = SigningKey.of(Ed25519PrivateKey.generate())
        self._clock = clock

    def start(self) -> TokenBootstrap:
        issuer = issuer_with(self.key, self._clock)
        return TokenBootstrap(
            issuer,
            self._clock,
            tokens_dir=self.tokens_dir,
            data_dir=self.data_dir,
            jwks_file=self.jwks_file,
        )

    @property
    def admin_file(self) -> Path:
        return self.data_dir / "admin.token"

    def role_of(self, path: Path) -> policy_pb2.Role:
        """Return what a service would take the token for."""
        token = path.read_text()
        return TokenVerifier(self.jwks_file, self._clock).verify(token).role


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def site(tmp_path: Path, clock: VirtualClock) -> Site:
    return Site(tmp_path, clock)


async def test_every_machine_and_the_administrator_get_in(site: Site) -> None:
    await site.start().write()
    for name, role in MACHINES.items():
        path = site.tokens_dir / name
        assert site.role_of(path) == role
        assert path.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in site.tokens_dir.iterdir()} == set(MACHINES)
    assert site.role_of(site.admin_file) == policy_pb2.ROLE_ADMIN
    assert site.admin_file.stat().st_mode & 0o777 == 0o600


async def test_the_administrators_token_is_kept_while_it_is_good(
    site: Site, clock: VirtualClock
) -> None:
    await site.start().write()
    first = site.admin_file.read_text()
    await clock.advance(28 * 86400)
    await site.start().write()
    assert site.admin_file.read_text() == first
    await clock.advance(86400 + 60)  # less than a day is left
    await site.start().write()
    assert site.admin_file.read_text() != first
    assert site.role_of(site.admin_file) == policy_pb2.ROLE_ADMIN


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff\xfe", b"a.b.c"])
async def test_what_is_no_token_is_replaced(site: Site, content: bytes) -> None:
    site.admin_file.write_bytes(content)
    await site.start().write()
    assert site.role_of(site.admin_file) == policy_pb2.ROLE_ADMIN


async def test_another_keys_or_roles_token_is_replaced(site: Site) -> None:
    await site.start().write()
    site.key = SigningKey.of(Ed25519PrivateKey.generate())
    old = site.admin_file.read_text()
    await site.start().write()
    assert site.admin_file.read_text() != old
    assert site.role_of(site.admin_file) == policy_pb2.ROLE_ADMIN
    site.admin_file.write_bytes((site.tokens_dir / "index.token").read_bytes())
    await site.start().write()
    assert site.role_of(site.admin_file) == policy_pb2.ROLE_ADMIN


async def test_machine_tokens_are_renewed_before_they_end(site: Site, clock: VirtualClock) -> None:
    tokens = site.start()
    await tokens.write()
    written = asyncio.Event()
    write = tokens.write

    async def write_and_tell() -> None:
        await write()
        written.set()

    tokens.write = write_and_tell  # type: ignore[method-assign] # tells when it is done
    running = asyncio.create_task(tokens.run())
    for _ in range(7):  # twice as long as a token lives
        written.clear()
        await clock.advance(REFRESH_S)
        await written.wait()
        for name, role in MACHINES.items():
            assert site.role_of(site.tokens_dir / name) == role
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_folder_that_is_not_ours_is_told(site: Site) -> None:
    site.tokens_dir.write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="tokens"):
        await site.start().write()
