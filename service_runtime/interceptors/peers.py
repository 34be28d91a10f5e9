"""Which services may connect to this one: what a client's certificate must say, besides being ours.

The handshake has shown that the site's authority signed the certificate; this asks for whom. Every
call is asked, health and reflection too, before its token: an index that was broken into must not
even knock at the camera manager. The name is that of a service (``edge.dfip``); names of hosts in
the same certificate count for nothing here.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from service_runtime.errors import PermissionDenied
from service_runtime.transport import is_service_name, service_name

_NAMES = "x509_subject_alternative_name"


class PeerCheck:
    """Lets in what comes from certain services; one for each server that speaks TLS.

    Args:
        rooms: The services that may connect, such as ``edge``.
    """

    def __init__(self, rooms: Collection[str]) -> None:
        self._admitted = frozenset(service_name(room) for room in rooms)

    def require(self, context: Any) -> None:  # noqa: ANN401 grpc's context carries no types
        """Let a call in, or not.

        Raises:
            PermissionDenied: The certificate is for none of the services that may connect.
        """
        claimed = services_in(context.auth_context())
        # two names would be two services, and a certificate is for one
        if len(claimed) != 1 or claimed[0] not in self._admitted:
            raise PermissionDenied(
                "PEER_NOT_ALLOWED",
                "This service takes no calls from the one that the certificate is for.",
            )


def services_in(properties: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Return the names of services in what grpc knows of a connection's other end."""
    names = (name.decode("ascii", "replace") for name in properties.get(_NAMES, ()))
    return [name for name in names if is_service_name(name)]
