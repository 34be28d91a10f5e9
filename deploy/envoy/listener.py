"""Describes the one port of the edge: REST, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2.

What a stranger sends is limited before anybody reads it: headers in size, number and time, streams
a connection, buffers. Headers that say who somebody is come from inside alone, so they are removed
here. The filters stand in the order of the request; answers pass them backwards.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.envoy.access_log import access_log
from deploy.envoy.contracts import EdgeMethod
from deploy.envoy.local_replies import local_replies
from deploy.envoy.routes import (
    BODY_LIMIT,
    BUFFER,
    HEADER_MUTATION,
    HEALTH_PATH,
    LUA,
    OPEN_PATHS,
    REST_ANSWERS,
    TRANSCODER,
    routes,
    ticket_matches,
    transcoding,
)
from deploy.envoy.token_check import TokenIssuer, token_filter

_LUA_SCRIPT = Path(__file__).with_name("rest_answers.lua")
_EXTENSION = "type.googleapis.com/envoy.extensions"
_BUFFER_LIMIT = 32 << 10
_HEADER_KIB = 8
# `x-forwarded-client-cert` and `x-forwarded-for` are Envoy's own to write, and removed or written
# anew by it; whatever else claims to know the caller comes from nobody whom we believe.
_SAID_INSIDE_ALONE = (
    *("x-dfip-", "x-envoy-", "x-request-id", "x-jwt-", "x-auth-", "x-forwarded-", "x-real-ip"),
    *("x-remote-", "x-user-", "forwarded"),
)
# For audit rows. What a caller says under this name was removed before (``x-dfip-``).
_CLIENT_ADDRESS = {
    "header": {
        "key": "x-dfip-client-address",
        "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    },
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}


def listener(
    *,
    host: str,
    port: int,
    methods: Sequence[EdgeMethod],
    rooms: Iterable[str],
    descriptor_file: str,
    issuers: Mapping[str, TokenIssuer],
) -> dict[str, Any]:
    """Describe the listener at `host:port` for the RPCs of these rooms."""
    return {
        "name": "edge",
        "address": {"socket_address": {"address": host, "port_value": port}},
        "per_connection_buffer_limit_bytes": _BUFFER_LIMIT,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(
                            methods, rooms, descriptor_file, issuers
                        ),
                    }
                ]
            }
        ],
    }


def _connection_manager(
    methods: Sequence[EdgeMethod],
    rooms: Iterable[str],
    descriptor_file: str,
    issuers: Mapping[str, TokenIssuer],
) -> dict[str, Any]:
    return {
        "@type": f"{_EXTENSION}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "AUTO",
        "server_name": "dfip",
        "access_log": access_log(),
        **_limits(),
        **_identity_of_the_caller(),
        "local_reply_config": local_replies(),
        "route_config": {
            "name": "edge",
            "virtual_hosts": [
                {
                    "name": "edge",
                    "domains": ["*"],
                    "request_headers_to_add": [_CLIENT_ADDRESS],
                    "routes": routes(methods, descriptor_file),
                }
            ],
        },
        "http_filters": _filters(methods, rooms, descriptor_file, issuers),
    }


def _limits() -> dict[str, Any]:
    return {
        "max_request_headers_kb": _HEADER_KIB,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "60s",  # routes of endless streams lift it
        "common_http_protocol_options": {
            "idle_timeout": "120s",
            "max_headers_count": 100,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 1 << 16,
            "initial_connection_window_size": 1 << 20,
        },
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",  # a route refuses them, as JSON
    }


def _identity_of_the_caller() -> dict[str, Any]:
    """Believe nothing that a caller says of itself but its token."""
    return {
        "use_remote_address": True,
        "forward_client_cert_details": "SANITIZE",
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        "early_header_mutation_extensions": [
            {
                "name": "envoy.http.early_header_mutation.header_mutation",
                "typed_config": {
                    "@type": f"{_EXTENSION}.http.early_header_mutation.header_mutation.v3"
                    ".HeaderMutation",
                    "mutations": [
                        {"remove_on_match": {"key_matcher": {"prefix": prefix}}}
                        for prefix in _SAID_INSIDE_ALONE
                    ],
                },
            }
        ],
    }


def _filters(
    methods: Sequence[EdgeMethod],
    rooms: Iterable[str],
    descriptor_file: str,
    issuers: Mapping[str, TokenIssuer],
) -> list[dict[str, Any]]:
    healthy = {room: {"value": 100} for room in sorted(rooms)}
    return [
        {
            "name": "envoy.filters.http.grpc_web",
            "typed_config": {"@type": f"{_EXTENSION}.filters.http.grpc_web.v3.GrpcWeb"},
        },
        {
            "name": LUA,
            "typed_config": {
                "@type": f"{_EXTENSION}.filters.http.lua.v3.Lua",
                "source_codes": {REST_ANSWERS: {"inline_string": _LUA_SCRIPT.read_text()}},
            },
        },
        {
            "name": "envoy.filters.http.health_check",
            "typed_config": {
                "@type": f"{_EXTENSION}.filters.http.health_check.v3.HealthCheck",
                "pass_through_mode": False,
                "cluster_min_healthy_percentages": healthy,
                "headers": [{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
            },
        },
        token_filter(issuers, OPEN_PATHS, ticket_matches(methods)),
        {
            "name": HEADER_MUTATION,
            "typed_config": {
                "@type": f"{_EXTENSION}.filters.http.header_mutation.v3.HeaderMutation"
            },
        },
        {
            "name": BUFFER,
            "typed_config": {
                "@type": f"{_EXTENSION}.filters.http.buffer.v3.Buffer",
                "max_request_bytes": BODY_LIMIT,
            },
            "disabled": True,  # REST routes turn it on
        },
        {"name": TRANSCODER, "typed_config": transcoding(methods, descriptor_file)},
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": f"{_EXTENSION}.filters.http.router.v3.Router",
                "suppress_envoy_headers": True,
            },
        },
    ]
