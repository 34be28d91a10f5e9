"""Makes a site's certificates: an authority that signs one for each service, and nothing else.

One folder for the authority, which may be kept elsewhere between two renewals, and one for each
service that holds all that the service needs, so that it can be carried to another machine as it
is:

    certs/authority/ca.pem, key.pem
    certs/control_plane/cert.pem, key.pem, ca.pem

A certificate names the service that it is for, ``control-plane.dfip``, which nobody who is given
another service's files can claim; names of hosts may stand beside it, for tools that look for them.
Certificates hold for months and are made anew by `dfip certs renew`; services take new files over
while they run. Keys are ECDSA P-256, for their owner alone.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service_runtime.transport import TlsFiles, is_service_name, service_name

SERVICES: Final = ("control_plane", "identity_index", "camera_manager", "vision_worker", "edge")
AUTHORITY: Final = "authority"
_CA_FILE = "ca.pem"
_CERT_FILE = "cert.pem"
_KEY_FILE = "key.pem"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_LONGEST_HOST = 253
_CLOCKS_DIFFER = timedelta(hours=1)
_CA_DAYS = 3650


class CertificatesUnusable(Exception):
    """The folder is not one of ours, or not whole; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A certificate of the folder.

    Attributes:
        name: of the service, or `authority`.
        names: what it says it is for; nothing for the authority.
        expires_at: until when it holds; None for one that is missing or unreadable.
    """

    name: str
    names: tuple[str, ...]
    expires_at: datetime | None


def tls_files(folder: Path, service: str) -> TlsFiles:
    """Return where a service's certificate, key and authorities are."""
    place = folder / service
    return TlsFiles(
        cert_file=place / _CERT_FILE, key_file=place / _KEY_FILE, ca_file=place / _CA_FILE
    )


def make_authority(folder: Path, *, now: datetime) -> None:
    """Make the authority of a site, and the folder.

    Raises:
        CertificatesUnusable: There is one already.
        OSError: The folder cannot be written.
    """
    place = folder / AUTHORITY
    # the key is written first: a key alone is what an interrupted call has left
    if (place / _CA_FILE).exists():
        raise CertificatesUnusable(
            f"{folder} has an authority already; `dfip certs renew` makes new certificates."
        )
    _make_own(folder)
    _make_own(place)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "DFIP site authority")])
    cert = (
        _begun(name, name, key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(place / _KEY_FILE, _pem(key))
    _write(place / _CA_FILE, cert.public_bytes(serialization.Encoding.PEM))


def sign(
    folder: Path, service: str, *, now: datetime, days: int, hosts: Sequence[str] | None = None
) -> None:
    """Make a service's key and certificate, in place of those that were there.

    Args:
        folder: All certificates of the site.
        service: One of `SERVICES`.
        now: When they begin to hold, less what clocks may differ by.
        days: How long they hold.
        hosts: Names and addresses of machines, to stand beside the service's own name; None keeps
            those of the certificate that was there.

    Raises:
        CertificatesUnusable: The folder has no authority that can sign, or it expires before that;
            or a host's name is none.
        OSError: The folder cannot be read or written.
    """
    authority, signing = _authority(folder)
    if authority.not_valid_after_utc < now + timedelta(days=days):
        raise CertificatesUnusable(
            f"The authority in {folder} ends before that; ask for fewer days, or make a new one in "
            "another folder with `dfip certs init`."
        )
    key = ec.generate_private_key(ec.SECP256R1())
    own = service_name(service)
    place = folder / service
    beside = _host_names(place / _CERT_FILE) if hosts is None else [_host_name(h) for h in hosts]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, own)])
    cert = (
        _begun(name, authority.subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(own), *beside]), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
        .sign(signing, hashes.SHA256())
    )
    _make_own(place)
    _write(place / _KEY_FILE, _pem(key))
    _write(place / _CERT_FILE, cert.public_bytes(serialization.Encoding.PEM))
    _write(place / _CA_FILE, authority.public_bytes(serialization.Encoding.PEM))


def standings(folder: Path) -> Sequence[Standing]:
    """Return how long the authority and each service's certificate hold.

    Raises:
        CertificatesUnusable: There are no certificates in the folder.
    """
    found = [_standing(AUTHORITY, folder / AUTHORITY / _CA_FILE)]
    found += [_standing(service, folder / service / _CERT_FILE) for service in SERVICES]
    if all(standing.expires_at is None for standing in found):
        raise CertificatesUnusable(
            f"{folder} has no certificates; make them with `dfip certs init`."
        )
    return found


def _standing(name: str, file: Path) -> Standing:
    try:
        cert = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return Standing(name=name, names=(), expires_at=None)
    names = tuple(str(each.value) for each in _alternative_names(cert))
    return Standing(name=name, names=names, expires_at=cert.not_valid_after_utc)


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    place = folder / AUTHORITY
    try:
        cert = x509.load_pem_x509_certificate((place / _CA_FILE).read_bytes())
        key = serialization.load_pem_private_key((place / _KEY_FILE).read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificatesUnusable(
            f"{folder} has no authority that can sign; bring its folder `{AUTHORITY}` back, or "
            "make a new one with `dfip certs init`."
        )
    return cert, key


def _host_names(cert_file: Path) -> list[x509.GeneralName]:
    """Return what stands beside the service's own name in a certificate; nothing without one."""
    try:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    except (OSError, ValueError):
        return []
    return [name for name in _alternative_names(cert) if not is_service_name(str(name.value))]


def _host_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if is_service_name(text):
        raise CertificatesUnusable(f"{text} is the name of a service, not of a machine.")
    if len(text) > _LONGEST_HOST or not _HOST.fullmatch(text):
        raise CertificatesUnusable(f"{text!r} is neither an address nor the name of a machine.")
    return x509.DNSName(text.lower())


def _alternative_names(cert: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _begun(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _CLOCKS_DIFFER)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _make_own(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step; nobody but its owner ever reads it."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(
        fresh, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, 0o600)
    ) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
