"""Describes the check of tokens that stands before everything but the question for health.

Without a valid token nothing of a request is kept: no body is gathered, no service called. Whom a
token lets do what, the services decide, who check it again. Where the contracts take a ticket in
the query instead of a token, it is the ticket that is checked where there is one: it is for an
audience of its own, so that neither does for the other.

Keys change while the edge runs, but Envoy reads the keys of its configuration once. So it serves
itself the files: a listener that only this process can reach answers with what they hold now, and
the check asks there when what it knows is a second old. A file that is not there yet becomes one
without keys, so that the edge may start first; until keys come, callers are told to try again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.envoy.local_replies import JWT_AUTHN, REFUSED_TOKEN
from deploy.envoy.routes import TICKET_PARAMETER

_EXTENSION = "type.googleapis.com/envoy.extensions"
_CLUSTER: Final = "published_keys"
_NO_KEYS: Final = '{"keys": []}\n'
_LONGEST_FILE = 256 << 10
_CLOCKS_DIFFER_S = 5
_SCHEMES = ("Bearer ", "bearer ", "BEARER ")
_HEADERS: Final = {"from_headers": [{"name": "authorization", "value_prefix": s} for s in _SCHEMES]}
SITE: Final = "site"
_TICKETS: Final = "tickets"
_TICKET_AUDIENCE: Final = "dfip.media"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """Whose tokens the edge lets in, and the file with their public keys."""

    issuer: str
    audiences: Sequence[str]
    jwks_file: Path


def token_filter(
    issuers: Mapping[str, TokenIssuer],
    open_paths: Sequence[str],
    ticket_matches: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Describe the filter; a caller needs a token of one of the issuers, but at the open paths.

    What is asked for with a ticket needs one of the site's.
    """
    names = sorted(issuers)
    needed: dict[str, Any] = {"provider_name": names[0]}
    if len(names) > 1:
        needed = {"requires_any": {"requirements": [{"provider_name": name} for name in names]}}
    return {
        "name": JWT_AUTHN,
        "typed_config": {
            "@type": f"{_EXTENSION}.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {
                **{name: _provider(name, issuers[name]) | _HEADERS for name in names},
                _TICKETS: _provider(SITE, issuers[SITE])
                | {"audiences": [_TICKET_AUDIENCE], "from_params": [TICKET_PARAMETER]},
            },
            "rules": [
                *({"match": {"path": path}} for path in open_paths),
                *(
                    {"match": match, "requires": {"provider_name": _TICKETS}}
                    for match in ticket_matches
                ),
                {"match": {"prefix": "/"}, "requires": needed},
            ],
        },
    }


def keys_listener(issuers: Mapping[str, TokenIssuer]) -> dict[str, Any]:
    """Describe the listener inside this process that answers with the files of keys."""
    manager = {
        "@type": f"{_EXTENSION}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": _CLUSTER,
        "route_config": {
            "name": _CLUSTER,
            "max_direct_response_body_size_bytes": _LONGEST_FILE,
            "virtual_hosts": [
                {
                    "name": _CLUSTER,
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"path": f"/{name}"},
                            "direct_response": {"status": 200, "body": _watched(of.jwks_file)},
                        }
                        for name, of in sorted(issuers.items())
                    ],
                }
            ],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSION}.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": _CLUSTER,
        "internal_listener": {},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def keys_cluster() -> dict[str, Any]:
    """Describe how the check reaches that listener."""
    where = {"envoy_internal_address": {"server_listener_name": _CLUSTER}}
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": where}}]}],
        },
    }


INTERNAL_LISTENERS: Final[Mapping[str, Any]] = {
    "name": "envoy.bootstrap.internal_listener",
    "typed_config": {"@type": f"{_EXTENSION}.bootstrap.internal_listener.v3.InternalListener"},
}


def publish_no_keys_yet(jwks_file: Path) -> None:
    """Put a file without keys where there is none; who has keys replaces it.

    Raises:
        OSError: The folder cannot be written.
    """
    jwks_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with jwks_file.open("x", encoding="ascii") as file:
            file.write(_NO_KEYS)
    except FileExistsError:
        return


def _provider(name: str, of: TokenIssuer) -> dict[str, Any]:
    return {
        "issuer": of.issuer,
        "audiences": list(of.audiences),
        "clock_skew_seconds": _CLOCKS_DIFFER_S,
        "require_expiration": True,
        "forward": True,
        "failed_status_in_metadata": REFUSED_TOKEN,
        "remote_jwks": {
            "http_uri": {"uri": f"http://keys/{name}", "cluster": _CLUSTER, "timeout": "1s"},
            # No `async_fetch`: it asks from Envoy's main thread, where no listener inside the
            # process answers. Each worker asks with the first request of a second.
            "cache_duration": "1s",
        },
    }


def _watched(file: Path) -> dict[str, Any]:
    path = file.absolute()
    return {"filename": str(path), "watched_directory": {"path": str(path.parent)}}
