"""Lines to cameras: names that change their mind, certificates, and what is never connected to."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.http_camera import HttpCamera, answer
from tests.support.rtsp_camera import Script
from tests.unit.vision_worker.sources.relay.conftest import (
    IMPATIENT,
    Cameras,
    open_camera,
    policy,
    watch,
)
from vision_worker.sources.failure import SourceFailure
from vision_worker.sources.policy import camera_addresses
from vision_worker.sources.relay.line import Deadline, Lines
from vision_worker.sources.relay.names import Names

Units = list[list[bytes]]
Answers = dict[str, list[str]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Return what names resolve to, one answer after the other; the last one stays."""
    known: Answers = {}
    really = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> object:
        if host not in known:
            return really(host, *args, **options)  # type: ignore[arg-type]
        texts = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "",
             (text, 0, 0, 0) if ":" in text else (text, 0))
            for text in texts.split()
        ]  # fmt: skip

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def lines(networks: str = "127.0.0.0/8") -> Lines:
    return Lines(names=Names(), addresses=camera_addresses(networks))


def test_a_name_is_resolved_once_and_its_judged_address_is_connected_to(
    answers: Answers, cameras: Cameras, units: Units
) -> None:
    camera = cameras(Script(pictures=units, scheme="md5"))
    answers["camera.test"] = ["127.0.0.1", "169.254.169.254"]  # a name that rebinds
    asked = open_camera(camera.port, host="camera.test")
    assert len(watch(asked).numbers) == 40
    assert answers["camera.test"] == ["169.254.169.254"]


@pytest.mark.parametrize(
    "found",
    ["127.0.0.1 169.254.169.254", "169.254.169.254", "::ffff:169.254.169.254", "10.0.0.1 127.0.0.1",
     "64:ff9b::a9fe:a9fe", "0.0.0.0", "224.0.0.1", "::1"],
)  # fmt: skip
def test_one_bad_answer_spoils_all(answers: Answers, found: str) -> None:
    answers["camera.test"] = [found]
    with pytest.raises(SourceFailure) as caught:
        lines().places("camera.test", Deadline(5))
    assert caught.value.reason == "forbidden_address"


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost", "0", "2852039166"]
)
def test_odd_spellings_are_judged_by_what_they_are(host: str) -> None:
    with pytest.raises(SourceFailure) as caught:
        lines(networks="").places(host, Deadline(5))
    assert caught.value.reason == "forbidden_address"


def test_a_second_address_is_tried_where_the_first_refuses(
    answers: Answers, cameras: Cameras, units: Units
) -> None:
    camera = cameras(Script(pictures=units))
    answers["camera.test"] = ["127.0.0.9 127.0.0.1"]
    assert watch(open_camera(camera.port, host="camera.test")).numbers


def test_a_resolver_that_hangs_holds_up_one_thread_and_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, asked = threading.Event(), []

    def hanging(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        released.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    names = Names()
    before = threading.active_count()
    for _ in range(5):
        with pytest.raises(SourceFailure) as caught:
            names.places("camera.test", within_s=0.01)
        assert caught.value.reason == "dns"
    assert (asked, threading.active_count()) == (["camera.test"], before + 1)
    released.set()
    (thread,) = [one for one in threading.enumerate() if one.name == "camera-dns"]
    thread.join(10)
    with pytest.raises(SourceFailure):
        names.places("camera.test", within_s=5)
    assert len(asked) == 2


@dataclass(frozen=True, kw_only=True)
class Certificate:
    file: Path
    context: ssl.SSLContext


Certificates = Callable[..., Certificate]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificates:
    """Return a maker of certificates that sign themselves, as cameras do."""

    def make(name: str = "127.0.0.1", *, days: int = 10) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
        now = datetime.now(UTC)
        cert = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / f"{name}-{days}.pem"
        pem = serialization.Encoding.PEM
        file.write_bytes(
            cert.public_bytes(pem)
            + key.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return Certificate(file=file, context=context)

    return make


@pytest.fixture
def https() -> Iterator[Callable[[ssl.SSLContext], HttpCamera]]:
    started: list[HttpCamera] = []

    def start(tls: ssl.SSLContext) -> HttpCamera:
        started.append(HttpCamera(lambda _: answer("404 Not Found"), tls=tls).start())
        return started[-1]

    yield start
    for camera in started:
        camera.close()


def test_an_encrypted_camera_is_read_whole(
    cameras: Cameras, certificate: Certificates, units: Units
) -> None:
    own = certificate()
    padding = b"\x0c" + b"\xff" * 30_000  # more than a record of TLS, and more than all buffers
    many = [[*picture, padding] for picture in units * 10]
    camera = cameras(Script(pictures=many, scheme="sha-256"), tls=own.context)
    with closing(open_camera(camera.port, policy(ca_file=own.file), scheme="rtsps")) as opened:
        packets = opened.packets(opened.container.streams.video[0])
        assert next(packets).size
        threading.Event().wait(0.1)  # nobody reads: what the line still holds must not be forgotten
        assert 1 + sum(1 for packet in packets if packet.size) == len(many)
        assert opened.failure is not None
        assert opened.failure.reason == "ended"


def test_a_certificate_has_to_be_trusted_right_and_of_today(
    cameras: Cameras,
    https: Callable[[ssl.SSLContext], HttpCamera],
    certificate: Certificates,
) -> None:
    own, other = certificate(), certificate("127.0.0.2")
    old = certificate("127.0.0.1", days=-1)
    for served, trusted in ((own, other.file), (own, None), (other, other.file), (old, old.file)):
        rtsps = cameras(Script(), tls=served.context)
        secure = https(served.context)
        for scheme, port in (("rtsps", rtsps.port), ("https", secure.port)):
            with pytest.raises(SourceFailure) as caught:
                open_camera(port, policy(ca_file=trusted), scheme=scheme)
            assert caught.value.reason == "tls"
        assert (rtsps.requests, secure.requests) == ([], [])  # no password left this machine
    good = https(own.context)
    with pytest.raises(SourceFailure) as caught:
        open_camera(good.port, policy(ca_file=own.file), scheme="https")
    assert caught.value.reason == "not_found"


def test_what_is_no_tls_at_all_and_a_file_that_is_none(cameras: Cameras, tmp_path: Path) -> None:
    plain = cameras(Script(answers={}))
    for file in (None, tmp_path / "none.pem"):
        with pytest.raises(SourceFailure) as caught:
            open_camera(plain.port, policy(IMPATIENT, ca_file=file), scheme="rtsps")
        assert caught.value.reason in ("tls", "timeout")
