"""What the site's authority signs, where it is kept, and what it refuses."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from cli.certificates.authority import (
    AUTHORITY,
    SERVICES,
    CertificatesUnusable,
    make_authority,
    sign,
    standings,
    tls_files,
)
from cli.certificates.upkeep import days_left, keep_up, state_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "certs"
    make_authority(made, now=NOW)
    for service in SERVICES:
        sign(made, service, now=NOW, days=30, hosts=())
    return made


def certificate(folder: Path, service: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(tls_files(folder, service).cert_file.read_bytes())


def names(folder: Path, service: str) -> list[str]:
    cert = certificate(folder, service)
    found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def verify(folder: Path, service: str, name: str, authorities: Path, when: datetime) -> None:
    """Check a certificate as a client of the web would, by rules that are not ours."""
    store = Store(x509.load_pem_x509_certificates(authorities.read_bytes()))
    policy = PolicyBuilder().store(store).time(when)
    policy.build_server_verifier(x509.DNSName(name)).verify(certificate(folder, service), [])
    policy.build_client_verifier().verify(certificate(folder, service), [])


def test_each_certificate_is_good_for_its_own_service_alone(folder: Path, tmp_path: Path) -> None:
    authorities = tls_files(folder, "edge").ca_file
    for service in SERVICES:
        own = f"{service.replace('_', '-')}.dfip"
        assert names(folder, service) == [own]
        tls_files(folder, service).read()
        verify(folder, service, own, authorities, NOW)
        with pytest.raises(VerificationError):
            verify(folder, service, "another.dfip", authorities, NOW)
        with pytest.raises(VerificationError):
            verify(folder, service, own, authorities, NOW + timedelta(days=31))
    make_authority(tmp_path / "foreign", now=NOW)
    with pytest.raises(VerificationError):
        verify(folder, "edge", "edge.dfip", tmp_path / "foreign" / AUTHORITY / "ca.pem", NOW)


def test_keys_are_for_their_owner_alone_and_the_authoritys_lies_apart(folder: Path) -> None:
    keys = sorted(folder.rglob("key.pem"))
    assert {key.parent.name for key in keys} == {AUTHORITY, *SERVICES}
    for path in folder.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert len({key.read_bytes() for key in keys}) == len(keys)
    assert not list(folder.rglob("*.new"))


def test_names_of_machines_stand_beside_and_stay(folder: Path) -> None:
    sign(folder, "edge", now=NOW, days=5, hosts=["Gate.Example", "192.0.2.7", "2001:db8::1"])
    wanted = ["edge.dfip", "gate.example", "192.0.2.7", "2001:db8::1"]
    assert names(folder, "edge") == wanted
    before = tls_files(folder, "edge").key_file.read_bytes()
    sign(folder, "edge", now=NOW, days=6)
    assert names(folder, "edge") == wanted
    assert tls_files(folder, "edge").key_file.read_bytes() != before


@pytest.mark.parametrize(
    "host", ["control-plane.dfip", "EDGE.DFIP.", "a b", "", "*.example", "x\n", "a" * 64, "-a"]
)
def test_a_name_of_a_service_or_of_nothing_is_no_machine(folder: Path, host: str) -> None:
    before = tls_files(folder, "edge").cert_file.read_bytes()
    with pytest.raises(CertificatesUnusable):
        sign(folder, "edge", now=NOW, days=5, hosts=[host])
    assert tls_files(folder, "edge").cert_file.read_bytes() == before


def test_an_authority_is_never_replaced(folder: Path) -> None:
    with pytest.raises(CertificatesUnusable, match="renew"):
        make_authority(folder, now=NOW)
    (folder / AUTHORITY / "key.pem").unlink()  # kept elsewhere
    with pytest.raises(CertificatesUnusable, match="renew"):
        make_authority(folder, now=NOW)
    with pytest.raises(CertificatesUnusable, match="bring its folder"):
        sign(folder, "edge", now=NOW, days=5)


def test_one_that_was_interrupted_is_made_again(folder: Path) -> None:
    (folder / AUTHORITY / "ca.pem").unlink()
    make_authority(folder, now=NOW)
    sign(folder, "edge", now=NOW, days=5)
    verify(folder, "edge", "edge.dfip", folder / AUTHORITY / "ca.pem", NOW)


def test_nothing_outlives_the_authority(folder: Path) -> None:
    with pytest.raises(CertificatesUnusable, match="fewer days"):
        sign(folder, "edge", now=NOW + timedelta(days=3650 - 10), days=11)


def test_a_site_is_kept_up(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    keep_up(folder, now=NOW)
    made = {each.name: each.expires_at for each in standings(folder)}
    keep_up(folder, now=NOW + timedelta(days=300))
    assert {each.name: each.expires_at for each in standings(folder)} == made
    sign(folder, "edge", now=NOW, days=20, hosts=())
    tls_files(folder, "camera_manager").cert_file.write_text("no certificate")
    keep_up(folder, now=NOW)
    renewed = {each.name: each.expires_at for each in standings(folder)}
    assert renewed == made


def test_how_one_stands_is_told_by_the_day(folder: Path) -> None:
    edge = next(each for each in standings(folder) if each.name == "edge")
    assert days_left(edge, now=NOW) == 30
    assert state_of(edge, now=NOW) == "good"
    assert state_of(edge, now=NOW + timedelta(days=16)) == "ends soon"
    assert state_of(edge, now=NOW + timedelta(days=30)) == "ended"
    with pytest.raises(CertificatesUnusable, match="init"):
        standings(folder / "nothing")
