"""The one machine that `dfip up` runs on: its folders, its port, and the checks before the start.

Whatever can be known to be wrong is said here, in one sentence, before any process is started.
`open_site` holds the site's lock while it is open; `mesh.py` says which processes run in it.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cli.certificates.authority import CertificatesUnusable
from cli.certificates.upkeep import keep_up
from cli.failures import CommandFailed, ExitCode
from cli.places import ADMIN_TOKEN, certificates_dir
from cli.supervisor.cameras import CameraWish

_LOCK = "up.lock"
_OWN_HOST = "127.0.0.1"
_LISTENING = ("control_plane", "identity_index", "camera_manager", "telemetry")
_LONGEST_RUNTIME_DIR = 60
"""A unix socket's path ends at 107 bytes (sun_path of Linux); names below it need 20 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteWish:
    """What the operator asked for.

    Attributes:
        http_port: 0 asks for any free port.
        media_root: None means `media` in the data folder, which is made.
        cameras_per_worker: cameras that share a worker's process; None is the environment's.
        telemetry_apart: run telemetry as a process of its own.
        tls: have the services speak TLS over ports of this machine in place of sockets.
        cameras: what cameras may be.
    """

    data_dir: Path
    host: str
    http_port: int
    media_root: Path | None
    pack_id: str
    cameras_per_worker: int | None = None
    telemetry_apart: bool = False
    tls: bool = False
    cameras: CameraWish = field(default_factory=CameraWish)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPlaces:
    """Where services listen that speak TLS, and the folder with a folder of files for each."""

    certificates_dir: Path
    ports: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything of a running site is; without `tls`, its services listen on sockets.

    `camera_variables` tell its services what cameras may be.
    """

    data_dir: Path
    runtime_dir: Path
    media_root: Path
    host: str
    http_port: int
    pack_id: str
    cameras_per_worker: int | None = None
    telemetry_apart: bool = False
    tls: TlsPlaces | None = None
    camera_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address of the REST API for a client on this machine."""
        return f"http://{self.grpc_target}"

    @property
    def grpc_target(self) -> str:
        """Return host and port that speak gRPC, for a client on this machine."""
        host = self.client_host
        return f"[{host}]:{self.http_port}" if ":" in host else f"{host}:{self.http_port}"

    @property
    def client_host(self) -> str:
        """Return the host that a client on this machine connects to."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - no bind

    @property
    def admin_token_file(self) -> Path:
        """Return the file with the administrator's token."""
        return self.data_dir / ADMIN_TOKEN

    @property
    def logs_dir(self) -> Path:
        """Return the folder with a log file for each service."""
        return self.data_dir / "logs"

    @property
    def workers_dir(self) -> Path:
        """Return the folder with a folder for each camera's worker, its log among the files."""
        return self.data_dir / "workers"

    @property
    def jwks_file(self) -> Path:
        """Return the file with the public keys that every token is checked with."""
        return self.runtime_dir / "jwks.json"

    def target(self, service: str) -> str:
        """Return where a service listens: `unix:/path`, or `host:port` with TLS."""
        if self.tls is None:
            return f"unix:{self.runtime_dir / service}.sock"
        return f"{_OWN_HOST}:{self.tls.ports[service]}"


@contextmanager
def open_site(wish: SiteWish) -> Iterator[Site]:
    """Check everything, make the folders, and hold the site until the end of the block.

    Raises:
        CommandFailed: something is in the way; the sentence says what and what to do.
    """
    cameras = wish.cameras.variables()
    data_dir = _usable_data_dir(wish.data_dir)
    with _sole_use(data_dir):
        media_root = _existing_media_root(wish.media_root, data_dir)
        _make_folder(data_dir / "logs")
        host, port = listening_address(wish.host, wish.http_port)
        runtime_dir = make_runtime_dir(data_dir)
        try:
            yield Site(
                data_dir=data_dir,
                runtime_dir=runtime_dir,
                media_root=media_root,
                host=host,
                http_port=port,
                pack_id=wish.pack_id,
                cameras_per_worker=wish.cameras_per_worker,
                telemetry_apart=wish.telemetry_apart,
                tls=_tls_places(data_dir) if wish.tls else None,
                camera_variables=cameras,
            )
        finally:
            shutil.rmtree(runtime_dir, ignore_errors=True)


def _tls_places(data_dir: Path) -> TlsPlaces:
    """Have certificates that hold, and a free port for each service that listens."""
    folder = certificates_dir(data_dir)
    try:
        keep_up(folder, now=datetime.now(UTC))
    except CertificatesUnusable as error:
        raise CommandFailed(str(error), code=ExitCode.CONFLICT) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    with ExitStack() as held:  # all at once, so that no two get the same
        ports = {}
        for service in _LISTENING:
            probe = held.enter_context(socket.socket())
            probe.bind((_OWN_HOST, 0))
            ports[service] = int(probe.getsockname()[1])
    return TlsPlaces(certificates_dir=folder, ports=ports)


def _usable_data_dir(path: Path) -> Path:
    data_dir = path.expanduser().absolute()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except (FileExistsError, NotADirectoryError):
        raise CommandFailed(
            f"The data folder {data_dir} cannot be used, because it or a folder above it is a "
            "file; name another one with --data-dir."
        ) from None
    except OSError as error:
        raise _unwritable(data_dir, error) from None
    return data_dir.resolve()


def _unwritable(folder: Path, error: OSError) -> CommandFailed:
    return CommandFailed(
        f"The data folder {folder} cannot be written ({_cause(error)}); "
        "correct its rights or name another one with --data-dir."
    )


@contextmanager
def _sole_use(data_dir: Path) -> Iterator[None]:
    try:
        file = (data_dir / _LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise _unwritable(data_dir / _LOCK, error) from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(20).strip() or "unknown"
            raise CommandFailed(
                f"Another dfip (process {holder}) runs on the data folder {data_dir}; "
                "stop it or name another folder with --data-dir.",
                code=ExitCode.CONFLICT,
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from None


def _existing_media_root(wished: Path | None, data_dir: Path) -> Path:
    if wished is None:
        media_root = data_dir / "media"
        _make_folder(media_root)
        return media_root.resolve()
    media_root = wished.expanduser().absolute()
    if not media_root.is_dir():
        raise CommandFailed(
            f"The media folder {media_root} does not exist; make it or name another one "
            "with --media-root.",
            code=ExitCode.USAGE,
        )
    return media_root.resolve()


def listening_address(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address and the port, which can be listened on; 0 becomes a free port.

    Raises:
        CommandFailed: the port is taken or not allowed, or the host is not this machine's.
    """
    try:
        family, kind, protocol, _, wanted = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError, OverflowError):
        raise CommandFailed(
            f"The host {host!r} is unknown; name an address of this machine with --host.",
            code=ExitCode.USAGE,
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(wanted)
        except OSError as error:
            raise _port_trouble(host, port, error) from None
        address, port = probe.getsockname()[:2]
        return str(address), int(port)


def _port_trouble(host: str, port: int, error: OSError) -> CommandFailed:
    if error.errno == errno.EADDRINUSE:
        return CommandFailed(
            f"Port {port} on {host} is taken; stop what listens there or choose another port "
            "with --http-port.",
            code=ExitCode.CONFLICT,
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CommandFailed(
            f"{host} is not an address of this machine; name another one with --host.",
            code=ExitCode.USAGE,
        )
    return CommandFailed(
        f"Port {port} on {host} cannot be used ({_cause(error)}); choose another port "
        "with --http-port.",
        code=ExitCode.NOT_ALLOWED if error.errno == errno.EACCES else ExitCode.FAILED,
    )


def runtime_dir_of(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the folder that `make_runtime_dir` makes for a data folder."""
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    own = environ.get("XDG_RUNTIME_DIR", "")
    if own and Path(own).is_dir() and len(os.fsencode(own)) + 18 <= _LONGEST_RUNTIME_DIR:
        return Path(own) / f"dfip-{name}"
    return Path("/tmp") / f"dfip-{os.getuid()}-{name}"  # noqa: S108 - owner and mode are checked


def make_runtime_dir(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Make the short folder, closed to others, that holds the site's sockets and machine tokens.

    Its path follows from the data folder, so that a new start finds and replaces an old one's.

    Raises:
        CommandFailed: somebody else owns that path.
    """
    path = runtime_dir_of(data_dir, environ)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise CommandFailed(f"The folder {path} cannot be made ({_cause(error)}).") from None
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise CommandFailed(
            f"The path {path} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a "
            "folder of your own.",
            code=ExitCode.NOT_ALLOWED,
        )
    path.chmod(0o700)
    for stale in path.glob("*.sock"):
        stale.unlink(missing_ok=True)
    (path / "tokens").mkdir(mode=0o700, exist_ok=True)
    return path


def _cause(error: OSError) -> str:
    return error.strerror or "it failed"
