"""A gRPC server as every DFIP service runs it.

Bounded in calls, message sizes and metadata; with health, optional reflection and the interceptor
chain. It does not start when a contract leaves open who may call one of its RPCs.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service_runtime.audit import AuditTrail, LoggedTrail
from service_runtime.authentication import TokenVerifier
from service_runtime.clock import Clock
from service_runtime.interceptors.chain import InterceptorChain
from service_runtime.interceptors.patience import Patience
from service_runtime.interceptors.peers import PeerCheck
from service_runtime.interceptors.quota import CallQuota
from service_runtime.interceptors.standing import StandingWatch
from service_runtime.limits import (
    CONNECTION_AGE_GRACE_MS,
    CONNECTION_AGE_MS,
    DEFAULT_MAX_MESSAGE_BYTES,
    HANDSHAKE_MS,
    KEEPALIVE_MS,
    KEEPALIVE_TIMEOUT_MS,
)
from service_runtime.method_policy import read_rules
from service_runtime.transport import Transport

_UNPROTECTED = Transport()
# Bit 0, identity alone: unpacking a bomb costs a second of CPU before any token counts.
_NO_COMPRESSION = 1


class ListenError(Exception):
    """The address is taken or not ours; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A service of the contracts, and the object that answers for it."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, Any], None]
    servicer: object

    @classmethod
    def of(cls, messages: ModuleType, stubs: ModuleType, servicer: object) -> "Binding":
        """Bind the one service that a pair of generated modules holds (``x_service_pb2``, …)."""
        ((name, descriptor),) = messages.DESCRIPTOR.services_by_name.items()
        add = getattr(stubs, f"add_{name}Servicer_to_server")
        return cls(descriptor=descriptor, add=add, servicer=servicer)


class Server:
    """One gRPC server.

    Args:
        room: Name of the service, for the domain of its errors.
        listen: ``unix:/path`` or ``host:port``; port 0 picks a free one.
        bindings: What it serves.
        verifier: Checks tokens.
        clock: Where time comes from.
        reflection: Offer reflection, to any valid token.
        reflected: Full names of further services that reflection shall name (at the edge).
        max_concurrent_rpcs: Calls at once; one more is refused with RESOURCE_EXHAUSTED.
        max_message_bytes: Largest message that it takes.
        transport: What protects it on a network; without, it listens on this machine alone.
        peers: Rooms whose certificates may connect where it speaks TLS; the edge is one.
        trail: Where calls leave their traces; the log where nothing better is known.
    """

    def __init__(
        self,
        *,
        room: str,
        listen: str,
        bindings: Sequence[Binding],
        verifier: TokenVerifier,
        clock: Clock,
        reflection: bool = False,
        reflected: Sequence[str] = (),
        max_concurrent_rpcs: int = 1000,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        trail: AuditTrail | None = None,
        transport: Transport = _UNPROTECTED,
        peers: Collection[str] = (),
    ) -> None:
        self._room = room
        self._listen = listen
        self._bindings = tuple(bindings)
        self._verifier = verifier
        self._clock = clock
        self._reflection = reflection
        self._reflected = tuple(reflected)
        self._max_concurrent_rpcs = max_concurrent_rpcs
        self._max_message_bytes = max_message_bytes
        self._transport = transport
        self._peers = tuple(peers)
        self._trail: AuditTrail = trail or LoggedTrail()
        self._standing = StandingWatch(verifier)
        self._watching: asyncio.Task[None] | None = None
        self._health = health.aio.HealthServicer()
        self._server: Any = None
        self._address = ""

    @property
    def address(self) -> str:
        """Target for clients; known once started."""
        return self._address

    async def start(self) -> None:
        """Listen and serve; health says NOT_SERVING until ``set_serving``.

        Raises:
            MethodPolicyMissing: A contract leaves open who may call an RPC, or its trace.
            ListenError: The address cannot be used.
            SettingsError: It is open to a network, and nothing protects what is said.
        """
        rules = read_rules(binding.descriptor for binding in self._bindings)
        credentials = self._transport.server_credentials(self._listen)
        server = grpc.aio.server(
            interceptors=[
                InterceptorChain(
                    room=self._room,
                    rules=rules,
                    verifier=self._verifier,
                    quota=CallQuota(self._max_concurrent_rpcs),
                    trail=self._trail,
                    standing=self._standing,
                    patience=Patience(self._clock),
                    peers=None if credentials is None else PeerCheck(self._peers),
                )
            ],
            options=self._options(),
            maximum_concurrent_rpcs=self._max_concurrent_rpcs,
        )
        for binding in self._bindings:
            binding.add(binding.servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._reflection:
            own = [binding.descriptor.full_name for binding in self._bindings]
            names = [*own, *self._reflected, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(sorted(set(names)), server)
        self._address = self._bind(server, credentials)
        await self.set_serving(serving=False)
        await server.start()
        self._server = server
        self._watching = asyncio.create_task(self._standing.run(), name="token-standing")

    async def set_serving(self, serving: bool) -> None:
        """Tell health checks whether this service does its work."""
        status = health_pb2.HealthCheckResponse
        answer = status.SERVING if serving else status.NOT_SERVING
        for name in ("", *(binding.descriptor.full_name for binding in self._bindings)):
            await self._health.set(name, answer)

    async def stop(self, grace_s: float = 5) -> None:
        """Refuse new calls, give running ones ``grace_s`` to end, then cut them off."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace_s)
            self._server = None
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    def _bind(self, server: Any, credentials: Any) -> str:  # noqa: ANN401 grpc carries no types
        try:
            if credentials is None:
                port = server.add_insecure_port(self._listen)
            else:
                port = server.add_secure_port(self._listen, credentials)
        except RuntimeError:
            port = 0
        if not port:
            raise ListenError(f"cannot listen on {self._listen}: it is taken or not ours")
        if self._listen.startswith("unix:"):
            return self._listen
        return f"{self._listen.rpartition(':')[0]}:{port}"

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.max_metadata_size", 8 * 1024),
            ("grpc.absolute_max_metadata_size", 16 * 1024),
            ("grpc.max_concurrent_streams", self._max_concurrent_rpcs),
            ("grpc.compression_enabled_algorithms_bitset", _NO_COMPRESSION),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_ping_strikes", 2),
            ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
            ("grpc.max_connection_age_ms", CONNECTION_AGE_MS),
            ("grpc.max_connection_age_grace_ms", CONNECTION_AGE_GRACE_MS),
            ("grpc.so_reuseport", 0),  # two services on one port would share its calls silently
        ]
