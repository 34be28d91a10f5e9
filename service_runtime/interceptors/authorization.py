"""Lets a call in, or says why not: token first, then the role that the contract asks for.

Where the contract says so, a ticket does for a token (``service_runtime.media_tickets``).
"""

from collections.abc import Mapping

from service_runtime.authentication import Caller, TokenVerifier, role_name
from service_runtime.errors import PermissionDenied, Unauthenticated
from service_runtime.media_tickets import KEY, verify_ticket
from service_runtime.method_policy import MethodRule

_OPEN_PREFIX = "/grpc.health.v1.Health/"
_ANY_CALLER_PREFIX = "/grpc.reflection."


def authenticate(
    path: str,
    metadata: Mapping[str, str],
    verifier: TokenVerifier,
    rules: Mapping[str, MethodRule],
) -> Caller | None:
    """Return who calls; None for health checks, which are open.

    Raises:
        Unauthenticated: No token, or none that is valid; or a ticket beside it.
        PermissionDenied: A ticket for something else.
    """
    if path.startswith(_OPEN_PREFIX):
        return None
    if KEY in metadata:
        if "authorization" in metadata:
            raise Unauthenticated("TWO_TOKENS", "Send a token or a ticket, not both.")
        return verify_ticket(metadata[KEY], rules.get(path), verifier)
    return verifier.verify(_bearer(metadata))


def authorize(path: str, caller: Caller, rules: Mapping[str, MethodRule]) -> None:
    """Let a caller's role in, or not.

    Raises:
        PermissionDenied: The caller's role may not call this RPC, or its token is limited to
            cameras and the RPC does not keep to them.
    """
    if path.startswith(_ANY_CALLER_PREFIX):
        return
    rule = rules.get(path)
    if rule is None or caller.role not in rule.admitted:
        raise PermissionDenied(
            "ROLE_NOT_ALLOWED",
            f"The role {role_name(caller.role)} may not do this; ask an administrator.",
            role=role_name(caller.role),
        )
    if caller.cameras is not None and not rule.camera_scoped:
        raise PermissionDenied(
            "TOKEN_LIMITED_TO_CAMERAS",
            "This token is limited to some cameras, and this is about more than those; ask an"
            " administrator for another token.",
        )


def _bearer(metadata: Mapping[str, str]) -> str:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "TOKEN_MISSING", "Send a token in the header `Authorization: Bearer <token>`."
        )
    return token.strip()
