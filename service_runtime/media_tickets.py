"""Tickets: what stands in a query where a browser can send no header.

A page shows pictures and follows events by address alone, and addresses end up in histories and
logs on their way. So what stands there lets in to one thing, in one way, for a minute, and for no
other call: a ticket has an audience of its own. The control plane signs it for a caller
(``control_plane/tokens/tickets.py``), the edge moves it from the query into a header of its own,
and the service holds it against the request. Who comes with a ticket is its caller, with a viewer's
rights: what ends the caller's token ends the ticket, and a look leaves the caller's trace.

A ticket opens a stream, which then goes on for as long as the caller's token would.
"""

from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.message import Message

from dfip.options.v1 import policy_pb2
from service_runtime.authentication import ISSUER, Caller, Ticket, TokenVerifier
from service_runtime.errors import PermissionDenied, Unauthenticated
from service_runtime.identifiers import new_id
from service_runtime.method_policy import MethodRule

AUDIENCE: Final = "dfip.media"
PARAMETER: Final = "ticket"
KEY: Final = "x-dfip-ticket"  # the edge alone sets it: see deploy/envoy
LIFETIME_S: Final = 60
# of the caller's token: its id, who made it, and its times
_OF_TOKEN: Final = ("token_id", "token_iss", "token_iat", "token_exp")
_REQUIRED: Final = ("jti", "purpose", "object", *_OF_TOKEN)


def ticket_claims(
    caller: Caller, ticket: Ticket, *, cameras: frozenset[str] | None, now: datetime
) -> dict[str, Any]:
    """Return what a ticket says; it ends with the caller's token at the latest.

    Args:
        caller: Whose ticket it is.
        ticket: What it is for.
        cameras: What it is limited to; None where it is not.
        now: When it begins.
    """
    issued_at = caller.issued_at or now
    ends = int(caller.expires_at.timestamp())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": caller.subject,
        "jti": new_id(),
        "iat": int(now.timestamp()),
        "exp": min(int(now.timestamp()) + LIFETIME_S, ends),
        "purpose": ticket.purpose,
        "object": ticket.object_id,
        "token_id": caller.token_id,
        "token_iss": caller.issuer,
        "token_iat": int(issued_at.timestamp()),
        "token_exp": ends,
    }
    if cameras is not None:
        claims["cameras"] = sorted(cameras)
    return claims


def verify_ticket(text: str, rule: MethodRule | None, verifier: TokenVerifier) -> Caller:
    """Return whose ticket it is; the RPC must be what it is for.

    Raises:
        Unauthenticated: The RPC takes no tickets, or this is none that holds.
        PermissionDenied: ``TICKET_FOR_SOMETHING_ELSE``.
        Unavailable: The site's keys cannot be read yet.
    """
    if rule is None or rule.ticket is None:
        raise _invalid()
    claims = verifier.claims_of_site(text, audience=AUDIENCE, required=_REQUIRED)
    try:
        caller = _caller(claims)
    except (ValueError, TypeError, OverflowError):
        raise _invalid() from None
    verifier.require_standing(caller)
    if claims["purpose"] != rule.ticket.purpose:
        raise _for_something_else()
    return caller


def require_object(rule: MethodRule | None, caller: Caller | None, request: Message) -> None:
    """Let a request pass that is about the object of the caller's ticket, where there is one.

    Raises:
        PermissionDenied: ``TICKET_FOR_SOMETHING_ELSE``.
    """
    if caller is None or caller.ticket is None:
        return
    asked = "" if rule is None or rule.ticket is None else getattr(request, rule.ticket.object)
    if rule is None or rule.ticket is None or asked.lower() != caller.ticket.object_id:
        raise _for_something_else()


def _caller(claims: dict[str, Any]) -> Caller:
    texts = (claims["purpose"], claims["object"], claims["token_id"], claims["token_iss"])
    cameras = claims.get("cameras")
    if not all(isinstance(text, str) for text in texts) or not isinstance(cameras, list | None):
        raise ValueError("no ticket")
    return Caller(
        subject=str(claims["sub"]),
        role=policy_pb2.ROLE_VIEWER,
        camera_id=None,
        epoch=None,
        token_id=claims["token_id"],
        expires_at=datetime.fromtimestamp(float(claims["token_exp"]), UTC),
        issued_at=datetime.fromtimestamp(float(claims["token_iat"]), UTC),
        cameras=None if cameras is None else frozenset(str(one) for one in cameras),
        issuer=claims["token_iss"],
        ticket=Ticket(purpose=claims["purpose"], object_id=claims["object"]),
    )


def _invalid() -> Unauthenticated:
    return Unauthenticated("TICKET_INVALID", "The ticket is not valid here; ask for a new one.")


def _for_something_else() -> PermissionDenied:
    return PermissionDenied(
        "TICKET_FOR_SOMETHING_ELSE", "This ticket is for something else; ask for one for this."
    )
