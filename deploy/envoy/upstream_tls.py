"""Describes how the edge speaks to services over a network: TLS both ways.

The edge shows its own certificate and takes a service's only from the site's authority and for the
very service that it wants, whatever host that runs on. Envoy reads certificates of its
configuration once; those of a secret it reads again when a file in their folder is replaced by a
move, as `dfip certs renew` and Kubernetes do. So they are secrets, in two files of our own. Between
the moves of key and certificate it may say that they do not fit, and goes on with the old ones.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from service_runtime.transport import TlsFiles, service_name

CERTIFICATE: Final = "edge_certificate"
AUTHORITIES: Final = "site_authorities"
_KIND = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def secret_files(files: TlsFiles) -> Mapping[str, bytes]:
    """Return the files that Envoy reads its secrets from, by their names."""
    certificate: dict[str, Any] = {
        "name": CERTIFICATE,
        "tls_certificate": {
            "certificate_chain": {"filename": str(files.cert_file)},
            "private_key": {"filename": str(files.key_file)},
            "watched_directory": {"path": str(files.cert_file.parent)},
        },
    }
    authorities: dict[str, Any] = {
        "name": AUTHORITIES,
        "validation_context": {
            "trusted_ca": {"filename": str(files.ca_file)},
            "watched_directory": {"path": str(files.ca_file.parent)},
        },
    }
    return {
        _file_name(secret["name"]): json.dumps(
            {"resources": [{"@type": f"{_KIND}.Secret", **secret}]}, indent=2
        ).encode()
        for secret in (certificate, authorities)
    }


def transport_socket(folder: Path, room: str) -> dict[str, Any]:
    """Describe connections to a room's service; `folder` has the secrets' files."""
    name = service_name(room)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_KIND}.UpstreamTlsContext",
            "sni": name,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_3",  # 1.2 where it is left open
                },
                "tls_certificate_sds_secret_configs": [_secret(folder, CERTIFICATE)],
                "combined_validation_context": {
                    "default_validation_context": {
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": name}}
                        ]
                    },
                    "validation_context_sds_secret_config": _secret(folder, AUTHORITIES),
                },
            },
        },
    }


def _secret(folder: Path, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "sds_config": {
            "path_config_source": {"path": str(folder / _file_name(name))},
            "resource_api_version": "V3",
        },
    }


def _file_name(name: str) -> str:
    return f"{name}.json"
