"""Who gets which token, and what it opens."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    token_service_pb2_grpc,
)
from dfip.control_plane.v1 import token_service_pb2 as pb
from dfip.options.v1 import policy_pb2
from service_runtime.authentication import (
    AUDIENCE,
    CONTROL_PLANE_AUDIENCE,
    Caller,
    TokenVerifier,
)
from service_runtime.clock import SystemClock
from service_runtime.errors import Unauthenticated
from service_runtime.identifiers import new_id
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.refusals import refused
from tests.support.sightings import Reports

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RunningControlPlane]:
    async with running_control_plane(tmp_path) as site:
        yield site


@pytest.fixture
def tokens(site: RunningControlPlane) -> Any:
    return token_service_pb2_grpc.TokenServiceStub(site.channel("admin"))


def caller_of(
    site: RunningControlPlane, answer: pb.IssueTokenResponse, audience: str = AUDIENCE
) -> Caller:
    verifier = TokenVerifier(site.settings.jwks_file, SystemClock(), audiences=(audience,))
    return verifier.verify(answer.data.token)


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_people_get_tokens(
    site: RunningControlPlane,
    tokens: Any,
    role: str,
) -> None:
    answer = await tokens.IssueToken(pb.IssueTokenRequest(role=role, subject="Ada", lifetime_s=60))
    caller = caller_of(site, answer)
    assert caller.subject == "Ada"
    assert policy_pb2.Role.Name(caller.role) == f"ROLE_{role.upper()}"
    assert (caller.camera_id, caller.epoch) == (None, None)
    assert answer.data.role == role
    assert answer.data.expires_at.seconds == caller.expires_at.timestamp()
    cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        site.channel(token=answer.data.token)
    )
    request = control_plane_service_pb2.ListCamerasRequest()
    assert [camera async for camera in cameras.ListCameras(request)] == []


async def test_without_a_lifetime_it_is_a_day_and_names_who_issued_it(
    site: RunningControlPlane,
    tokens: Any,
) -> None:
    before = SystemClock().now().timestamp()
    answer = await tokens.IssueToken(pb.IssueTokenRequest(role="viewer"))
    assert abs(answer.data.expires_at.seconds - before - 86400) < 60
    assert caller_of(site, answer).subject == "viewer, by test-admin"


async def test_a_workers_token_is_for_one_camera_and_the_epoch_in_force(
    site: RunningControlPlane,
    tokens: Any,
) -> None:
    reports = await Reports.open(site)
    await reports.next_epoch()
    request = pb.IssueTokenRequest(role="worker", camera_id=reports.camera_id.upper())
    answer = await tokens.IssueToken(request)
    caller = caller_of(site, answer, CONTROL_PLANE_AUDIENCE)
    assert (caller.camera_id, caller.epoch) == (reports.camera_id, 2)
    with pytest.raises(Unauthenticated):
        caller_of(site, answer)  # the index would tell it who somebody is
    cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        site.channel(token=answer.data.token)
    )
    heartbeat = control_plane_service_pb2.ReportHeartbeatRequest(
        camera_id=reports.camera_id, status="running"
    )
    assert (await cameras.ReportHeartbeat(heartbeat)).success
    await reports.next_epoch()
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await cameras.ReportHeartbeat(heartbeat)


async def test_what_makes_no_sense_is_refused(tokens: Any) -> None:
    with refused(INVALID, "REQUEST_INVALID") as refusal:
        await tokens.IssueToken(pb.IssueTokenRequest(role="worker"))
    assert refusal.fields == ["camera_id"]
    with refused(INVALID, "REQUEST_INVALID") as refusal:
        await tokens.IssueToken(pb.IssueTokenRequest(role="viewer", camera_id=new_id()))
    assert refusal.fields == ["camera_id"]
    for camera_id in (new_id(), "door"):
        with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
            await tokens.IssueToken(pb.IssueTokenRequest(role="worker", camera_id=camera_id))
    for role in ("", "manager", "control_plane", "unspecified"):
        with refused(INVALID, "REQUEST_INVALID"):
            await tokens.IssueToken(pb.IssueTokenRequest(role=role))


@pytest.mark.parametrize("role", ["operator", "viewer", "manager", "index", "control_plane"])
async def test_only_an_administrator_issues(site: RunningControlPlane, role: str) -> None:
    stub = token_service_pb2_grpc.TokenServiceStub(site.channel(role))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await stub.IssueToken(pb.IssueTokenRequest(role="viewer"))
