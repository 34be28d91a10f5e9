"""Lets a call in, or says why not: token first, then the role that the contract asks for."""

from collections.abc import Mapping

from service_runtime.authentication import Caller, TokenVerifier, role_name
from service_runtime.errors import PermissionDenied, Unauthenticated
from service_runtime.method_policy import MethodRule

_OPEN_PREFIX = "/grpc.health.v1.Health/"
_ANY_CALLER_PREFIX = "/grpc.reflection."


def authorize(
    path: str,
    metadata: Mapping[str, str],
    rules: Mapping[str, MethodRule],
    verifier: TokenVerifier,
) -> Caller | None:
    """Return who calls; None for health checks, which are open.

    Raises:
        Unauthenticated: No token, or none that is valid.
        PermissionDenied: The caller's role may not call this RPC.
    """
    if path.startswith(_OPEN_PREFIX):
        return None
    caller = verifier.verify(_bearer(metadata))
    if path.startswith(_ANY_CALLER_PREFIX):
        return caller
    rule = rules.get(path)
    if rule is None or caller.role not in rule.admitted:
        raise PermissionDenied(
            "ROLE_NOT_ALLOWED",
            f"The role {role_name(caller.role)} may not do this; ask an administrator.",
            role=role_name(caller.role),
        )
    return caller


def _bearer(metadata: Mapping[str, str]) -> str:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "TOKEN_MISSING", "Send a token in the header `Authorization: Bearer <token>`."
        )
    return token.strip()
