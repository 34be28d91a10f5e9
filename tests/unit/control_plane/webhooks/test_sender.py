"""One attempt against a real receiver: what is reached, what is not, and what is made of it."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from control_plane.webhooks.resolver import NameUnknown, SystemResolver
from control_plane.webhooks.schedule import Attempt
from control_plane.webhooks.sender import TIMEOUT_S, Sender, trusting
from control_plane.webhooks.url import ReceiverPolicy, parse_receiver, receiver_policy
from service_runtime.addresses import Address
from service_runtime.clock import SystemClock
from tests.support.receiver import Receiver, receiving
from tests.support.virtual_clock import VirtualClock
from tests.unit.control_plane.webhooks.conftest import LOOPBACK, ScriptedNames

HERE: tuple[Address, ...] = (ipaddress.ip_address("127.0.0.1"),)
PUBLIC: tuple[Address, ...] = (ipaddress.ip_address("203.0.114.1"),)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def sender(
    names: ScriptedNames | None = None,
    policy: ReceiverPolicy = LOOPBACK,
    clock: VirtualClock | None = None,
    tls: ssl.SSLContext | None = None,
) -> Sender:
    return Sender(policy, names or ScriptedNames(), clock or VirtualClock(), tls or trusting(None))


async def post(one: Sender, url: str) -> Attempt:
    async with asyncio.timeout(20):
        return await one.post(parse_receiver(url), {"webhook-id": "m"}, b'{"a":1}')


async def test_a_post_arrives_as_it_was_meant(receiver: Receiver) -> None:
    attempt = await post(sender(), receiver.url("/hook?token=t"))
    assert attempt == Attempt(status=204)
    got = await receiver.next()
    assert (got.target, got.body) == ("/hook?token=t", b'{"a":1}')
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": "DFIP-Webhooks",
        "content-type": "application/cloudevents+json",
        "content-length": "7",
        "connection": "close",
        "webhook-id": "m",
    }


async def test_status_and_retry_after_are_all_that_is_kept(receiver: Receiver) -> None:
    receiver.answer(503, body=b"secret" * 100_000, retry_after="30")
    attempt = await post(sender(), receiver.url())
    assert attempt == Attempt(status=503, retry_after_s=30.0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    async with receiving() as canary:
        receiver.answer(status, location=canary.url("/inside"))
        assert (await post(sender(), receiver.url())).status == status
        assert canary.connections == 0


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert (await post(sender(), receiver.url())).status == 204
        assert proxy.connections == 0


async def test_a_name_that_changes_its_mind_is_judged_at_each_attempt(receiver: Receiver) -> None:
    names = ScriptedNames(rebind=[HERE, PUBLIC, HERE])
    one = sender(names, receiver_policy(networks="", http=True))
    url = receiver.url(host="rebind.example")
    # asked once an attempt: the answer that was judged is the one that is connected to
    assert await post(one, url) == Attempt(failure="forbidden_address")
    assert names.asked == ["rebind.example"]
    assert receiver.connections == 0


async def test_what_was_judged_is_what_is_connected_to(receiver: Receiver) -> None:
    # the second answer would be refused; it is never asked for
    names = ScriptedNames(rebind=[HERE, (ipaddress.ip_address("10.0.0.1"),)])
    assert await post(sender(names), receiver.url(host="rebind.example")) == Attempt(status=204)
    assert names.asked == ["rebind.example"]
    assert (await receiver.next()).headers["host"] == f"rebind.example:{receiver.port}"


@pytest.mark.parametrize(
    "inside", ["10.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a00:1", "0.0.0.0"]
)
async def test_one_answer_inside_spoils_the_name(receiver: Receiver, inside: str) -> None:
    names = ScriptedNames(mixed=[(*HERE, ipaddress.ip_address(inside))])
    attempt = await post(sender(names), receiver.url(host="mixed.example"))
    assert attempt == Attempt(failure="forbidden_address")
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
async def test_this_machine_is_not_reached_without_a_word(receiver: Receiver, host: str) -> None:
    resolver = SystemResolver()
    closed = Sender(
        receiver_policy(networks="10.0.0.0/8", http=True), resolver, SystemClock(), trusting(None)
    )
    assert await post(closed, receiver.url(host=host)) == Attempt(failure="forbidden_address")
    assert receiver.connections == 0
    resolver.close()


async def test_http_is_refused_at_the_time_too(receiver: Receiver) -> None:
    policy = receiver_policy(networks="127.0.0.0/8", http=False)
    assert await post(sender(policy=policy), receiver.url()) == Attempt(failure="forbidden_scheme")
    assert receiver.connections == 0


async def test_ways_to_fail(receiver: Receiver) -> None:
    assert await post(sender(), "http://nobody.example/") == Attempt(failure="dns")
    async with receiving() as gone:
        closed = gone.url()
    assert await post(sender(), closed) == Attempt(failure="refused")
    receiver.answer_raw(b"")
    assert await post(sender(), receiver.url()) == Attempt(failure="disconnected")
    receiver.answer_raw(b"SSH-2.0-OpenSSH\r\n")
    assert await post(sender(), receiver.url()) == Attempt(failure="disconnected")
    receiver.answer_raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000)
    assert await post(sender(), receiver.url()) == Attempt(failure="disconnected")
    assert await post(sender(), receiver.url().replace("http", "https")) == Attempt(failure="tls")


async def test_a_receiver_that_hangs_is_left(receiver: Receiver) -> None:
    clock = VirtualClock()
    receiver.hang()
    waiting = asyncio.create_task(post(sender(clock=clock), receiver.url()))
    await receiver.next()
    await clock.advance(TIMEOUT_S - 1)
    assert not waiting.done()
    await clock.advance(1)
    assert await waiting == Attempt(failure="timeout")
    await receiver.until_open(0)


async def test_a_body_that_never_ends_changes_nothing_about_the_status(receiver: Receiver) -> None:
    clock = VirtualClock()
    receiver.answer_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)
    assert await post(sender(clock=clock), receiver.url()) == Attempt(status=200)


async def test_a_name_is_looked_up_by_the_machine() -> None:
    resolver = SystemResolver()
    one, other = await asyncio.gather(
        resolver.addresses("localhost"), resolver.addresses("localhost")
    )
    assert ipaddress.ip_address("127.0.0.1") in one
    assert one == other
    with pytest.raises(NameUnknown):
        await resolver.addresses("nobody.invalid")
    resolver.close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return files of a certificate for a name, which is its own authority, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


async def test_certificates_are_checked_against_the_name(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "receiver.example")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(chain, key)
    names = ScriptedNames(receiver=[HERE], other=[HERE])
    trusted = sender(
        names, receiver_policy(networks="127.0.0.0/8", http=False), tls=trusting(chain)
    )
    async with receiving(served) as receiver:
        assert (await post(trusted, receiver.url(host="receiver.example"))).status == 204
        assert receiver.server_name == "receiver.example"
        assert await post(trusted, receiver.url(host="other.example")) == Attempt(failure="tls")
        strange = sender(names)
        assert (await post(strange, receiver.url(host="receiver.example"))).failure == "tls"
