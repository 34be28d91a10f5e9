"""Three ways to a service: REST and gRPC through the edge, and past it to the service itself.

    doors = Doors(edge=edge, target=site.target)
    answer = await doors.rest("dfip.control_plane.v1.ControlPlaneService/GetCamera", {}, headers)

An RPC is asked for by its name and fields; REST is spelled as the contract says.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from deploy.envoy.contracts import EdgeMethod, edge_methods
from tests.support.edge import RunningEdge

Headers = Sequence[tuple[str, str]]
METHODS: Mapping[str, EdgeMethod] = {
    f"{method.service}/{method.name}": method
    for method in edge_methods(("control_plane", "camera_manager", "identity_index"))
}
# a write that races with a refusal makes grpc.aio forget the refusal
_STATUS_LOST = "Internal error from Core"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the code of gRPC, the reason for programs, and REST's status and headers."""

    code: grpc.StatusCode
    reason: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass(slots=True, kw_only=True)
class Doors:
    """The ways to the services of a site; close it at the end."""

    edge: RunningEdge
    target: str
    _client: httpx.AsyncClient | None = None
    _channels: dict[str, Any] = field(default_factory=dict)

    async def rest(self, rpc: str, fields: Mapping[str, Any], headers: Headers) -> Answer:
        """Ask as REST through the edge."""
        verb, path, body = rest_spelling(rpc, fields)
        if self._client is None:
            self._client = self.edge.client()
        answer = await self._client.request(
            verb, path, headers=[(name, value.strip()) for name, value in headers], content=body
        )
        code, reason = grpc.StatusCode.OK, ""
        if answer.status_code >= 400:
            told = answer.json()
            code = next(one for one in grpc.StatusCode if one.value[0] == told["code"])
            reason = next((one["reason"] for one in told["details"] if "reason" in one), "")
        return Answer(
            code=code,
            reason=reason,
            status=answer.status_code,
            headers=answer.headers,
            text=answer.text,
        )

    async def grpc(self, rpc: str, fields: Mapping[str, Any], headers: Headers) -> Answer:
        """Ask as gRPC through the edge."""
        return await self._called(self.edge.grpc_target, rpc, fields, headers)

    async def straight(self, rpc: str, fields: Mapping[str, Any], headers: Headers) -> Answer:
        """Ask as gRPC at the service's own address."""
        return await self._called(self.target, rpc, fields, headers)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
        for channel in self._channels.values():
            await channel.close()

    async def _called(
        self, target: str, rpc: str, fields: Mapping[str, Any], headers: Headers
    ) -> Answer:
        if target not in self._channels:
            # an edge or a service of an earlier test may have had the address
            options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
            self._channels[target] = grpc.aio.insecure_channel(target, options=options)
        request = message_of(rpc, fields)
        while True:
            call = self._channels[target].unary_unary(f"/{rpc}")(request, metadata=tuple(headers))
            try:
                await call
            except grpc.aio.AioRpcError as error:
                if error.details() != _STATUS_LOST:
                    return Answer(
                        code=error.code(), reason=reason_of(error), text=error.details() or ""
                    )
            else:
                return Answer(code=grpc.StatusCode.OK)


def rest_spelling(rpc: str, fields: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """Return verb, path and body of an RPC."""
    rest = dict(fields)
    (binding, *_) = METHODS[rpc].bindings
    path = binding.template
    for name in fields:
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", rest.pop(name))
    if binding.verb in {"POST", "PATCH", "PUT"}:
        return binding.verb, path, json.dumps(rest)
    query = httpx.QueryParams(rest)
    return binding.verb, f"{path}?{query}" if rest else path, None


def message_of(rpc: str, fields: Mapping[str, Any]) -> bytes:
    """Return the request of an RPC."""
    method = descriptor_pool.Default().FindMethodByName(rpc.replace("/", "."))
    made = message_factory.GetMessageClass(method.input_type)()
    return bytes(json_format.ParseDict(dict(fields), made).SerializeToString())


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that a service gave; empty where it gave none, as the edge does to gRPC."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info):
            return str(info.reason)
    return ""
