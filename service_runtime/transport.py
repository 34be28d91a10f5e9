"""How services reach each other over a network: TLS both ways, or not at all.

Unix sockets need nothing: only the site's own user opens them. Everywhere else a token on the wire
is a token lost, so both ends show a certificate of the site's own authority, and a client takes no
other name than that of the service it wants. ``dfip certs init`` makes the files. They may be
replaced while everything runs: a server reads them with each new connection, a client with the next
call after they changed. Who wants to speak plainly must say so: ``DFIP_PLAINTEXT=1``.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from service_runtime.settings import SettingsError
from service_runtime.structured_logging import get_logger

_log = get_logger(__name__)

_DOMAIN = "dfip"
_LONGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A service's certificate, its key, and the authorities that it believes, as PEM files."""

    cert_file: Path
    key_file: Path
    ca_file: Path

    def state(self) -> tuple[int, ...]:
        """Return what changes whenever one of the files does; nothing while one is missing."""
        try:
            found = [path.stat() for path in (self.cert_file, self.key_file, self.ca_file)]
        except OSError:
            return ()
        return tuple(number for one in found for number in (one.st_mtime_ns, one.st_ino))

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Return certificate, key and authorities.

        Raises:
            SettingsError: One cannot be read, or key and certificate do not belong together.
        """
        cert, key, ca = (_read(path) for path in (self.cert_file, self.key_file, self.ca_file))
        try:
            public = x509.load_pem_x509_certificates(cert)[0].public_key()
            private = serialization.load_pem_private_key(key, password=None)
            x509.load_pem_x509_certificates(ca)
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"{self.cert_file}, {self.key_file} and {self.ca_file} must be a certificate, its "
                "key without a password, and authorities, in PEM"
            ) from error
        if _encoded(public) != _encoded(private.public_key()):
            raise SettingsError(f"{self.key_file} is not the key of {self.cert_file}")
        return cert, key, ca


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """What a service speaks over a network: TLS with these files, or plainly if it must."""

    tls: TlsFiles | None = None
    plaintext: bool = False

    def server_credentials(self, listen: str) -> Any:  # noqa: ANN401 grpc carries no types
        """Return what to listen with; None for no TLS.

        Raises:
            SettingsError: The address is open to a network, and nothing protects what is said.
        """
        if listen.startswith("unix:"):
            return None
        if self.tls is None:
            self._allow_plaintext(listen)
            return None
        return _rolling_server_credentials(self.tls)

    def channel_credentials(self, target: str) -> Any:  # noqa: ANN401 grpc carries no types
        """Return what to connect with now; None for no TLS.

        Raises:
            SettingsError: The target is across a network, and nothing would protect the token.
        """
        if target.startswith("unix:"):
            return None
        if self.tls is None:
            self._allow_plaintext(target)
            return None
        cert, key, ca = self.tls.read()
        return grpc.ssl_channel_credentials(ca, key, cert)

    def _allow_plaintext(self, address: str) -> None:
        if is_loopback(address):
            return
        if not self.plaintext:
            raise SettingsError(
                f"{address} is reached over a network, where tokens could be read: set "
                "DFIP_TLS_CERT_FILE, DFIP_TLS_KEY_FILE and DFIP_TLS_CA_FILE (`dfip certs init` "
                "makes the files), or DFIP_PLAINTEXT=1 where the network itself is encrypted"
            )
        _log.warning("transport.plaintext", address=address)


# without slots: a service's settings have two such bases, of which Python lets one alone have them
@dataclass(frozen=True, kw_only=True)
class TransportSettings:
    """``DFIP_TLS_…`` and ``DFIP_PLAINTEXT``, as every service reads them."""

    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    plaintext: bool = False

    def transport(self) -> Transport:
        """Return how to speak.

        Raises:
            SettingsError: One of the files is not named, or they do not fit.
        """
        cert, key, ca = self.tls_cert_file, self.tls_key_file, self.tls_ca_file
        if not (cert or key or ca):
            return Transport(plaintext=self.plaintext)
        if not (cert and key and ca):
            raise SettingsError(
                "TLS needs all of DFIP_TLS_CERT_FILE, DFIP_TLS_KEY_FILE and DFIP_TLS_CA_FILE"
            )
        files = TlsFiles(cert_file=cert, key_file=key, ca_file=ca)
        files.read()
        return Transport(tls=files, plaintext=self.plaintext)


def service_name(room: str) -> str:
    """Return the name in a room's certificate: ``control-plane.dfip``."""
    return f"{room.replace('_', '-')}.{_DOMAIN}"


def is_service_name(name: str) -> bool:
    """Tell whether a name is one of those that are for services alone, in any spelling."""
    return name.lower().rstrip(".").endswith(f".{_DOMAIN}")


def is_loopback(address: str) -> bool:
    """Tell whether ``host:port`` never leaves this machine."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _rolling_server_credentials(files: TlsFiles) -> Any:  # noqa: ANN401 grpc carries no types
    """Return credentials that are read anew with each connection after the files changed."""
    seen = files.state()

    def changed() -> Any:  # noqa: ANN401 grpc carries no types
        nonlocal seen
        now = files.state()
        if not now or now == seen:
            return None  # nothing new, or a file is just being replaced
        seen = now  # bad ones are told of once, not to everybody who connects
        try:
            return _configuration(files)
        except SettingsError as error:
            _log.error("transport.certificate_unusable", sentence=str(error))
            return None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(files), changed, require_client_authentication=True
    )


def _configuration(files: TlsFiles) -> Any:  # noqa: ANN401 grpc carries no types
    cert, key, ca = files.read()
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)


def _encoded(key: Any) -> bytes:  # noqa: ANN401 any kind of public key
    encode: Callable[..., bytes] = key.public_bytes
    return encode(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _LONGEST_FILE:
        raise SettingsError(f"{path} is longer than any certificate")
    return content
