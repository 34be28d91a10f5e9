"""Describes what the edge writes down: who was refused for want of a valid token, and why.

A token that the edge refuses never reaches a service, so the audit of the control plane does not
know of it; this line on the edge's standard error is its trace. It holds nothing that the caller
wrote, so neither a token nor a flood of texts gets into it: the reason and the route are ours, the
request's id and the address Envoy's. Who passed, and was refused further in, is in the audit.
"""

from typing import Any

_EXTENSION = "type.googleapis.com/envoy.extensions"

_LINE = {
    "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "level": "warning",
    "room": "envoy",
    "event": "edge.unauthenticated",
    "why": "%RESPONSE_CODE_DETAILS%",
    "rpc": "%ROUTE_NAME%",
    "client_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}


def access_log() -> list[dict[str, Any]]:
    """Return the connection manager's `access_log`: a line for every answer of UNAUTHENTICATED."""
    return [
        {
            "name": "envoy.access_loggers.stderr",
            # of REST, whose answers have no such status, Envoy takes a 401 for it
            "filter": {"grpc_status_filter": {"statuses": ["UNAUTHENTICATED"]}},
            "typed_config": {
                "@type": f"{_EXTENSION}.access_loggers.stream.v3.StderrAccessLog",
                "log_format": {"json_format": _LINE},
            },
        }
    ]
