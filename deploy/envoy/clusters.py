"""Describes where the services are, and how Envoy knows that they serve.

A room has one address. Its server answers `grpc.health.v1` as soon as it serves; `/healthz` reads
what the checks found. Requests go to a service that is thought to be ill all the same, because it
is the only one: so a service that comes back at its address is reached with the next connection.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.envoy.upstream_tls import transport_socket

_BUFFER_LIMIT = 32 << 10


def clusters(
    targets: Mapping[str, str], secrets_folder: Path | None = None
) -> list[dict[str, Any]]:
    """Describe one cluster a room; a target is `unix:/path` or `host:port`.

    With a folder of secrets, everything but unix sockets is spoken to over TLS.
    """
    found = []
    for name, target in sorted(targets.items()):
        cluster = _cluster(name, target)
        if secrets_folder is not None and not target.startswith("unix:"):
            cluster["transport_socket"] = transport_socket(secrets_folder, _room(name))
        found.append(cluster)
    return found


def address(target: str) -> dict[str, Any]:
    """Return Envoy's form of `unix:/path` or `host:port` (IPv6 in brackets).

    Raises:
        ValueError: the target is neither.
    """
    if target.startswith("unix:"):
        return {"pipe": {"path": target.removeprefix("unix:")}}
    host, colon, port = target.rpartition(":")
    if not colon or not port.isdecimal() or not host:
        raise ValueError(f"Write a service's address as unix:/path or host:port, not {target!r}.")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _cluster(room: str, target: str) -> dict[str, Any]:
    is_name = "socket_address" in (where := address(target)) and not _is_literal(target)
    return {
        "name": room,
        "type": "STRICT_DNS" if is_name else "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": _BUFFER_LIMIT,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "initial_stream_window_size": 1 << 18,
                        "initial_connection_window_size": 1 << 20,
                    }
                },
            }
        },
        "circuit_breakers": {
            "thresholds": [{"max_connections": 64, "max_pending_requests": 512, "max_retries": 64}]
        },
        "health_checks": [
            {
                "timeout": "2s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "unhealthy_interval": "0.25s",
                "healthy_threshold": 1,
                "unhealthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "load_assignment": {
            "cluster_name": room,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": where}}]}],
        },
    }


def _room(name: str) -> str:
    """Return whose certificate a cluster shows; a service apart has its room's."""
    return name.split(".")[1] if "." in name else name


def _is_literal(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    return ":" in host or host.replace(".", "").isdecimal()
