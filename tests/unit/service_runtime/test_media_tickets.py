"""What a ticket says of its caller, and which contracts may take one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from dfip.control_plane.v1 import sighting_service_pb2
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import Caller, Ticket, TokenVerifier
from service_runtime.errors import PermissionDenied, Unauthenticated
from service_runtime.media_tickets import require_object, ticket_claims, verify_ticket
from service_runtime.method_policy import MethodPolicyMissing, MethodRule, read_rules
from tests.support.tokens import TestAuthority
from tests.support.virtual_clock import VirtualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = read_rules([sighting_service_pb2.DESCRIPTOR.services_by_name["SightingService"]])
IMAGE = RULES["/dfip.control_plane.v1.SightingService/GetSightingImage"]
LIST = RULES["/dfip.control_plane.v1.SightingService/ListSightings"]


def caller(**changes: Any) -> Caller:
    values: dict[str, Any] = {
        "subject": "idp:ada",
        "role": policy_pb2.ROLE_ADMIN,
        "camera_id": None,
        "epoch": None,
        "token_id": "idp:t",
        "expires_at": NOW + timedelta(hours=1),
        "issued_at": NOW - timedelta(hours=1),
        "issuer": "https://id.example",
    }
    return Caller(**(values | changes))


def ticket_of(authority: TestAuthority, who: Caller, cameras: frozenset[str] | None) -> str:
    ticket = Ticket(purpose="sighting_image", object_id="s")
    return authority.token("viewer", **ticket_claims(who, ticket, cameras=cameras, now=NOW))


async def test_whoever_comes_with_a_ticket_is_its_caller_as_a_viewer(tmp_path: Path) -> None:
    authority, clock = TestAuthority(tmp_path, now=NOW), VirtualClock(NOW)
    verifier = TokenVerifier(authority.jwks_file, clock)
    text = ticket_of(authority, caller(), frozenset({"c"}))
    found = verify_ticket(text, IMAGE, verifier)
    assert found == caller(
        role=policy_pb2.ROLE_VIEWER,
        cameras=frozenset({"c"}),
        ticket=Ticket(purpose="sighting_image", object_id="s"),
    )
    assert found.principal == caller().principal
    await clock.advance(64)
    verify_ticket(text, IMAGE, verifier)
    await clock.advance(1)
    with pytest.raises(Unauthenticated) as refused:
        verify_ticket(text, IMAGE, verifier)
    assert refused.value.reason == "TOKEN_EXPIRED"
    # a stream that it opened goes on, until the caller's token ends
    verifier.require_standing(found)
    await clock.advance(3600)
    with pytest.raises(Unauthenticated):
        verifier.require_standing(found)


def test_a_ticket_does_not_outlive_its_callers_token() -> None:
    claims = ticket_claims(
        caller(expires_at=NOW + timedelta(seconds=20)),
        Ticket(purpose="events", object_id=""),
        cameras=None,
        now=NOW,
    )
    assert claims["exp"] == claims["token_exp"] == int(NOW.timestamp()) + 20


@pytest.mark.parametrize("rule", [None, LIST])
def test_where_the_contract_names_no_tickets_there_are_none(
    tmp_path: Path, rule: MethodRule | None
) -> None:
    authority = TestAuthority(tmp_path, now=NOW)
    verifier = TokenVerifier(authority.jwks_file, VirtualClock(NOW))
    with pytest.raises(Unauthenticated):
        verify_ticket(ticket_of(authority, caller(), None), rule, verifier)


def test_a_request_is_held_against_the_ticket() -> None:
    request = sighting_service_pb2.GetSightingImageRequest(sighting_id="S")
    with_ticket = caller(ticket=Ticket(purpose="sighting_image", object_id="s"))
    require_object(IMAGE, with_ticket, request)
    require_object(IMAGE, caller(), request)
    require_object(None, None, request)
    for rule, other in ((IMAGE, "t"), (IMAGE, ""), (LIST, "S"), (None, "S")):
        with pytest.raises(PermissionDenied):
            require_object(
                rule, with_ticket, sighting_service_pb2.GetSightingImageRequest(sighting_id=other)
            )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"purpose": ""}, "does not say what for"),
        ({"object": "camera"}, "of which object"),
        ({"object": "number"}, "of which object"),
        ({"camera_scoped": False}, "keep to the cameras"),
        ({"client_streaming": True}, "one request"),
    ],
)
def test_a_contract_that_cannot_take_tickets_stops_the_service(
    changes: dict[str, Any], sentence: str
) -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"ticket/{sentence}{len(changes)}.proto", package="ticket", syntax="proto3"
    )
    request = file.message_type.add(name="Request")
    for number, (name, kind) in enumerate((("camera_id", 9), ("number", 5)), start=1):
        request.field.add(name=name, number=number, type=kind, label=1)
    method = file.service.add(name="Service").method.add(
        name="Show", input_type=".ticket.Request", output_type=".ticket.Request"
    )
    method.client_streaming = changes.get("client_streaming", False)
    policy = policy_pb2.MethodPolicy(
        roles=[policy_pb2.ROLE_VIEWER],
        audit=policy_pb2.AUDIT_NONE,
        camera_scoped=changes.get("camera_scoped", True),
        ticket=policy_pb2.TicketUse(
            purpose=changes.get("purpose", "show"), object=changes.get("object", "camera_id")
        ),
    )
    options: Any = method.options  # the generated types do not know extensions
    options.Extensions[policy_pb2.policy].CopyFrom(policy)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    service = pool.FindServiceByName("ticket.Service")
    with pytest.raises(MethodPolicyMissing, match=sentence):
        read_rules([service])
