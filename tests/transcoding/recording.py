"""What the services behind the edge were really sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(slots=True, kw_only=True)
class Recording:
    """The last request of each RPC, with its metadata."""

    requests: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def note(self, rpc: str, request: Any, context: Context) -> None:
        self.requests[rpc] = request
        self.metadata[rpc] = dict(context.invocation_metadata() or ())
