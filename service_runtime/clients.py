"""Channels to other services: token, deadline, keep-alive and retries by default.

``open_channel`` gives a channel that the generated stubs take. Calls without a deadline get one
(streams do not); calls that the contract calls idempotent are retried while the service is away.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from service_runtime.limits import (
    DEFAULT_MAX_MESSAGE_BYTES,
    KEEPALIVE_MS,
    KEEPALIVE_TIMEOUT_MS,
)
from service_runtime.rolling_channel import RollingChannel
from service_runtime.secret import Secret
from service_runtime.transport import Transport, service_name

DEFAULT_DEADLINE_S = 10.0
_CONTRACT_PREFIX = "dfip."


class TokenSource(Protocol):
    """Where a client's token comes from."""

    def token(self) -> Secret | None:
        """Return the token to send now; None sends none."""
        ...


class StaticToken:
    """A token that never changes."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def token(self) -> Secret | None:
        """Return the token."""
        return self._token


class FileToken:
    """A token in a file, read again whenever the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mtime_ns = -1
        self._token: Secret | None = None

    def token(self) -> Secret | None:
        """Return what the file holds now; None while it is not there."""
        try:
            mtime_ns = self._path.stat().st_mtime_ns
            if mtime_ns != self._mtime_ns:
                self._token = Secret(self._path.read_text().strip())
                self._mtime_ns = mtime_ns
        except FileNotFoundError:
            return None
        return self._token


def open_channel(
    target: str,
    *,
    token: TokenSource | None = None,
    deadline_s: float = DEFAULT_DEADLINE_S,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    transport: Transport | None = None,
    peer: str = "",
) -> "MeshChannel":
    """Open a channel; nothing is sent before the first call.

    Args:
        target: ``unix:/path`` or ``host:port``.
        token: Sent as bearer token with every call.
        deadline_s: For unary calls that set none.
        max_message_bytes: Largest message either way.
        transport: What protects it on a network; without, that is not asked.
        peer: Room of the service that must answer, as its certificate says.

    Raises:
        SettingsError: The target is across a network, and nothing would protect the token.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.initial_reconnect_backoff_ms", 200),
        # how long a connection may take to stand, whatever the name says; a busy machine needs it
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _service_config()),
        # one service's channels must not share a connection whose failure they share too
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if target.startswith("unix:"):
        # otherwise the authority is the socket's path, which strict peers refuse
        options.append(("grpc.default_authority", "localhost"))
    return MeshChannel(_dialled(target, options, transport, peer), token, deadline_s)


def _dialled(
    target: str, options: list[Any], transport: Transport | None, peer: str
) -> RollingChannel | grpc.aio.Channel:
    credentials = None if transport is None else transport.channel_credentials(target)
    if transport is None or transport.tls is None or credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    # the certificate must name the service that is wanted, wherever it runs
    options.append(("grpc.ssl_target_name_override", service_name(peer)))

    def dial() -> grpc.aio.Channel:
        fresh = transport.channel_credentials(target)
        return grpc.aio.secure_channel(target, fresh, options=options)

    return RollingChannel(transport.tls, dial)


class MeshChannel(grpc.aio.Channel):
    """A channel whose calls carry the token and have a deadline."""

    def __init__(self, channel: Any, token: TokenSource | None, deadline_s: float) -> None:  # noqa: ANN401
        self._channel = channel
        self._token = token
        self._deadline_s = deadline_s

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of a unary RPC."""
        return self._with_defaults(self._channel.unary_unary(method, *args, **kwargs), unary=True)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that takes a stream."""
        return self._with_defaults(self._channel.stream_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that answers a stream."""
        return self._with_defaults(self._channel.unary_stream(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the callable of an RPC that does both."""
        return self._with_defaults(self._channel.stream_stream(method, *args, **kwargs))

    def _with_defaults(
        self, call: Callable[..., Any], *, unary: bool = False
    ) -> Callable[..., Any]:
        def start(
            request: Any = None,  # noqa: ANN401 a message or an iterator of them
            *,
            timeout: float | None = None,
            metadata: Iterable[tuple[str, str]] | None = None,
            **kwargs: Any,  # noqa: ANN401 whatever else grpc takes
        ) -> Any:  # noqa: ANN401 grpc's call object
            pairs = list(metadata or ())
            token = self._token.token() if self._token is not None else None
            if token is not None:
                pairs.append(("authorization", f"Bearer {token.reveal()}"))
            deadline = self._deadline_s if timeout is None and unary else timeout
            arguments = () if request is None else (request,)
            return call(*arguments, timeout=deadline, metadata=tuple(pairs), **kwargs)

        return start

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; running calls get ``grace`` seconds."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the connection stands."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the connection stands otherwise."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until there is a connection."""
        await self._channel.channel_ready()


def _service_config() -> str:
    """Retries for the idempotent RPCs of every contract that this process has imported, as JSON."""
    return _retries_for(
        tuple(
            sorted(
                name
                for name in sys.modules
                if name.startswith(_CONTRACT_PREFIX) and name.endswith("_pb2")
            )
        )
    )


@functools.cache
def _retries_for(contracts: tuple[str, ...]) -> str:
    files: list[FileDescriptor] = [sys.modules[name].DESCRIPTOR for name in contracts]
    names = [
        {"service": service.full_name, "method": method.name}
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
        and not method.client_streaming
        and not method.server_streaming
    ]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = {"methodConfig": [{"name": names, "retryPolicy": policy}] if names else []}
    return json.dumps(config)
