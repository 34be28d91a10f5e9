"""One attempt: look the name up once, judge every answer, connect to a judged literal, post.

Nothing is followed, no proxy of the environment is used, certificates are verified against the
name, and nothing of the answer is kept but its status and ``Retry-After``: what receivers write
into bodies may be secret. The whole attempt has one deadline, so a receiver that answers a byte a
minute holds its place no longer than any other.
"""

import asyncio
import functools
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpcore

from control_plane.webhooks.resolver import NameUnknown, Resolver
from control_plane.webhooks.schedule import Attempt, retry_after_s
from control_plane.webhooks.url import Receiver, ReceiverPolicy
from service_runtime.addresses import Address
from service_runtime.clock import Clock

TIMEOUT_S: Final = 15.0
_MOST_BODY: Final = 4096
CONTENT_TYPE: Final = "application/cloudevents+json"


class Sender:
    """Posts to receivers.

    Args:
        policy: Which receivers the site allows.
        resolver: Looks names up.
        clock: Ends attempts that take too long.
        tls: Which authorities are trusted.
    """

    def __init__(
        self, policy: ReceiverPolicy, resolver: Resolver, clock: Clock, tls: ssl.SSLContext
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._clock = clock
        self._tls = tls

    async def post(self, receiver: Receiver, headers: dict[str, str], body: bytes) -> Attempt:
        """Post once, and return how it ended; it ends within ``TIMEOUT_S``."""
        answered: list[Attempt] = []
        work = asyncio.ensure_future(self._post(receiver, headers, body, answered))
        deadline = asyncio.ensure_future(self._clock.sleep(TIMEOUT_S))
        try:
            await asyncio.wait({work, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if answered:
                return answered[0]
            return work.result() if work.done() else Attempt(failure="timeout")
        finally:
            deadline.cancel()
            work.cancel()
            # its sockets are closed before its place is given away
            await asyncio.wait({work})

    async def _post(
        self, receiver: Receiver, headers: dict[str, str], body: bytes, answered: list[Attempt]
    ) -> Attempt:
        if receiver.scheme == "http" and not self._policy.http:
            return Attempt(failure="forbidden_scheme")
        try:
            found = await self._addresses(receiver)
        except NameUnknown:
            return Attempt(failure="dns")
        # one bad answer spoils all: a name that points inside is not to be trusted
        if not self._policy.addresses.allows_all(found):
            return Attempt(failure="forbidden_address")
        try:
            return await self._exchange(_request(receiver, headers, body), found, answered)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            return answered[0] if answered else Attempt(failure=_failure(error))

    async def _exchange(
        self, request: httpcore.Request, found: tuple[Address, ...], answered: list[Attempt]
    ) -> Attempt:
        async with httpcore.AsyncHTTPConnection(
            request.url.origin, ssl_context=self._tls, network_backend=PinnedBackend(found)
        ) as connection:
            response = await connection.handle_async_request(request)
            # the status counts, whatever becomes of the body
            answered.append(self._attempt(response))
            await _drain(response)
        return answered[0]

    async def _addresses(self, receiver: Receiver) -> tuple[Address, ...]:
        if receiver.literal is not None:
            return (receiver.literal,)
        return await self._resolver.addresses(receiver.host)

    def _attempt(self, response: httpcore.Response) -> Attempt:
        asked = None
        for name, value in response.headers:
            if name.lower() == b"retry-after":
                asked = retry_after_s(value.decode("latin-1"), self._clock.now())
        return Attempt(status=response.status, retry_after_s=asked)


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, whatever host it is asked for.

    Args:
        addresses: Tried in their order, until one lets itself be connected to.
    """

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            ConnectError: None does.
            ConnectTimeout: None did in time.
        """
        del host
        failure: Exception | None = None
        # one that does not answer leaves time for the next
        share_s = TIMEOUT_S / (len(self._addresses) + 1)
        for address in self._addresses:
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout or share_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError


def trusting(authorities: Path | None) -> ssl.SSLContext:
    """Return what checks certificates: by the machine's authorities, or those of a file.

    Raises:
        OSError: The file cannot be read or holds no certificate.
    """
    return (
        _of_the_machine() if authorities is None else ssl.create_default_context(cafile=authorities)
    )


@functools.cache
def _of_the_machine() -> ssl.SSLContext:
    """Read the machine's authorities once: there are many, and whoever connects changes nothing."""
    return ssl.create_default_context()


def _request(receiver: Receiver, headers: dict[str, str], body: bytes) -> httpcore.Request:
    return httpcore.Request(
        "POST",
        httpcore.URL(
            scheme=receiver.scheme.encode(),
            host=receiver.host.encode(),
            port=receiver.port,
            target=receiver.target.encode(),
        ),
        headers=[
            ("Host", receiver.authority),
            ("User-Agent", "DFIP-Webhooks"),
            ("Content-Type", CONTENT_TYPE),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *headers.items(),
        ],
        content=body,
    )


async def _drain(response: httpcore.Response) -> None:
    """Read a little of the body, so that a receiver is not cut off in the middle of a word."""
    read = 0
    try:
        async for chunk in response.aiter_stream():
            read += len(chunk)
            if read >= _MOST_BODY:
                return
    finally:
        await response.aclose()


def _failure(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "timeout"
    if not isinstance(error, httpcore.ConnectError):
        return "disconnected"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, ConnectionRefusedError):
            return "refused"
        cause = cause.__cause__ or cause.__context__
    return "unreachable"
