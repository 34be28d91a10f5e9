"""The ways to be refused: who asks for what, the answer, and where it leaves a trace.

Every line of the table is asked for as REST and as gRPC, through a real Envoy, of a real control
plane. There are three kinds of traces. A token that the edge refuses never reaches a service: it is
a line of the edge's log, without the token, and no row of the audit. What a service refuses is a
row, counted with its like of the same minute. And a token that is limited to some cameras is told
that there is no such camera, as everybody is who asks for one that is not there: no row, because
nothing was refused that exists for it. The index has no database; its refusals are counted in its
metrics alone.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio

from deploy.envoy.token_check import TokenIssuer
from dfip.control_plane.v1 import (
    audit_service_pb2,
    control_plane_service_pb2,
    sighting_service_pb2,
    token_service_pb2,
)
from dfip.control_plane.v1.audit_service_pb2_grpc import AuditServiceStub
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from dfip.control_plane.v1.token_service_pb2_grpc import TokenServiceStub
from service_runtime.audit import action_of
from service_runtime.authentication import role_from_name
from service_runtime.clients import StaticToken, open_channel
from tests.support.control_plane import RunningControlPlane
from tests.support.doors import Doors, Headers
from tests.support.edge import RunningEdge, running_edge
from tests.support.forgeries import forged_headers
from tests.support.identity_provider import TestProvider
from tests.support.people import running_people_site
from tests.support.refusals import refused
from tests.support.telemetry import TelemetryStream, sample
from tests.support.tokens import TestAuthority

pytestmark = pytest.mark.asyncio(loop_scope="module")

RTSP = "rtsp://user:canary@10.0.0.5/live"
NOBODY = "00000000-0000-4000-8000-000000000000"
EDGE, AUDIT, NOWHERE = "a line of the edge's log", "a row of the audit", "nowhere"
_LOGGED_WITHIN_S = 10
_HTTP = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
}
UNAUTHENTICATED: Final = grpc.StatusCode.UNAUTHENTICATED
PERMISSION_DENIED: Final = grpc.StatusCode.PERMISSION_DENIED
NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND
FAILED_PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION

GET_CAMERA = "dfip.control_plane.v1.ControlPlaneService/GetCamera"
DELETE_CAMERA = "dfip.control_plane.v1.ControlPlaneService/DeleteCamera"
HEARTBEAT = "dfip.control_plane.v1.ControlPlaneService/ReportHeartbeat"
ISSUE_TOKEN = "dfip.control_plane.v1.TokenService/IssueToken"
ROTATE_KEYS = "dfip.control_plane.v1.AdminService/RotateKeys"
LIST_AUDIT = "dfip.control_plane.v1.AuditService/ListAuditEntries"
LIST_PERSONS = "dfip.control_plane.v1.PersonService/ListPersons"
INDEX_STATUS = "dfip.identity_index.v1.IdentityIndexService/GetIndexStatus"

Header = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class World:
    """A site behind its edge, and the tokens that somebody got at some time."""

    site: RunningControlPlane
    edge: RunningEdge
    doors: Doors
    log: Path
    provider: TestProvider
    camera: str
    other_camera: str
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def authority(self) -> TestAuthority:
        site = self.site
        return TestAuthority.with_key_of(site.control_plane.parts.issuer, site.settings.jwks_file)

    @property
    def forged(self) -> dict[str, Header]:
        return forged_headers(self.authority)

    def role(self, name: str) -> Header:
        return (f"Bearer {self.site.token(name).reveal()}",)

    async def audited(self) -> dict[tuple[str, str, str], int]:
        """Return how often what was refused to whom, by all rows of the audit."""
        await self.site.control_plane.flush_audit()
        listed = await AuditServiceStub(self.site.channel()).ListAuditEntries(
            audit_service_pb2.ListAuditEntriesRequest(outcome="refused", page_size=1000)
        )
        found: dict[tuple[str, str, str], int] = {}
        for entry in listed.data:
            actor = "a worker" if entry.actor.startswith("camera-worker-") else entry.actor
            key = (entry.reason, entry.action, actor)
            found[key] = found.get(key, 0) + entry.count
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A way to be refused."""

    who: str
    headers: Callable[[World], Header]
    rpc: str
    fields: Callable[[World], dict[str, Any]]
    code: grpc.StatusCode
    reason: str
    trace: str
    actor: str = ""

    def __str__(self) -> str:
        return f"{self.who}: {self.rpc.rpartition('/')[2]}"


def case(  # noqa: PLR0917 - the columns of the table
    who: str,
    headers: Callable[[World], Header],
    rpc: str,
    code: grpc.StatusCode,
    reason: str,
    trace: str,
    *,
    actor: str = "",
    fields: Callable[[World], dict[str, Any]] = lambda _: {},
) -> Case:
    return Case(
        who=who, headers=headers, rpc=rpc, code=code, reason=reason, trace=trace, actor=actor,
        fields=fields,
    )  # fmt: skip


def forged(kind: str) -> Callable[[World], Header]:
    return lambda world: world.forged[kind]


def role(name: str) -> Callable[[World], Header]:
    return lambda world: world.role(name)


def got(name: str) -> Callable[[World], Header]:
    return lambda world: (f"Bearer {world.texts[name]}",)


def the_camera(world: World) -> dict[str, Any]:
    return {"camera_id": world.camera}


def another_camera(world: World) -> dict[str, Any]:
    return {"camera_id": world.other_camera}


def a_heartbeat(world: World) -> dict[str, Any]:
    return {"camera_id": world.camera, "status": "running"}


def a_viewer(_: World) -> dict[str, Any]:
    return {"role": "viewer"}


def all_keys(_: World) -> dict[str, Any]:
    return {"which": "both"}


def from_provider(*roles: str, **claims: Any) -> Callable[[World], Header]:
    return lambda world: (f"Bearer {world.provider.token(*roles, **claims)}",)


def oversized(length: int) -> Callable[[World], Header]:
    return lambda _: (f"Bearer e30.e30.{'a' * length}",)


# who asks, with what, for what; the code, the reason, the trace
TABLE = [
    case("no token", forged("nothing"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_MISSING", EDGE, fields=the_camera),
    case("another scheme", forged("other scheme"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_MISSING", EDGE, fields=the_camera),
    case("nonsense", forged("nonsense"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("cut in half", forged("cut"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("expired", forged("expired"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_EXPIRED", EDGE, fields=the_camera),
    case("not valid yet", forged("not before the future"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("signed with another key", forged("other site's under our key's name"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("of a key that nobody knows", forged("key id"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("alg none", forged("unsigned"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("HS256 with the public key", forged("public key as secret"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("HS256 with the file of public keys", forged("key file as secret"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("wrong audience", forged("audience"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("wrong issuer", forged("issuer"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("a viewer that made itself administrator", forged("role raised"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("two tokens", forged("two kinds"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("two tokens in one header", forged("two in one"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("somebody of the provider, for another service", from_provider("viewer", aud="other"),
         GET_CAMERA, UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    case("the provider, as if it were the site", from_provider("admin", iss="dfip", aud="dfip"),
         GET_CAMERA, UNAUTHENTICATED, "TOKEN_INVALID", EDGE, fields=the_camera),
    # what the edge does not look at, the service does
    case("issued in the future", forged("issued in the future"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", AUDIT, fields=the_camera),
    case("names its own keys", forged("keys elsewhere"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", AUDIT, fields=the_camera),
    case("a role that there is not", forged("unknown role"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_INVALID", AUDIT, fields=the_camera),
    case("revoked by its id", got("revoked by id"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_REVOKED", AUDIT, fields=the_camera),
    case("of a subject that was revoked", got("revoked by subject"), GET_CAMERA,
         UNAUTHENTICATED, "TOKEN_REVOKED", AUDIT, fields=the_camera),
    case("somebody of the provider without a role", from_provider("guest"), GET_CAMERA,
         PERMISSION_DENIED, "ROLE_MISSING", AUDIT, fields=the_camera),
    case("somebody of the provider who would be a worker", from_provider("worker"), HEARTBEAT,
         PERMISSION_DENIED, "ROLE_MISSING", AUDIT, fields=a_heartbeat),
    # who somebody is, is known; it may not
    case("a viewer", role("viewer"), DELETE_CAMERA,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-viewer", fields=the_camera),
    case("an operator", role("operator"), DELETE_CAMERA,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-operator", fields=the_camera),
    case("an operator", role("operator"), ISSUE_TOKEN,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-operator", fields=a_viewer),
    case("an operator", role("operator"), ROTATE_KEYS,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-operator", fields=all_keys),
    case("a viewer", role("viewer"), LIST_AUDIT,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-viewer"),
    case("an administrator", role("admin"), HEARTBEAT,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-admin", fields=a_heartbeat),
    case("the index", role("index"), GET_CAMERA,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="test-index", fields=the_camera),
    case("a worker", got("worker"), GET_CAMERA,
         PERMISSION_DENIED, "ROLE_NOT_ALLOWED", AUDIT, actor="a worker", fields=the_camera),
    case("another camera's worker", got("other worker"), HEARTBEAT,
         PERMISSION_DENIED, "CAMERA_NOT_YOURS", AUDIT, actor="a worker", fields=a_heartbeat),
    case("a worker of an older epoch", got("old worker"), HEARTBEAT,
         FAILED_PRECONDITION, "STALE_EPOCH", AUDIT, actor="a worker", fields=a_heartbeat),
    case("a viewer of one camera, about another", got("limited"), GET_CAMERA,
         NOT_FOUND, "CAMERA_NOT_FOUND", NOWHERE, fields=another_camera),
    case("an operator of one camera, about people", got("limited operator"), LIST_PERSONS,
         PERMISSION_DENIED, "TOKEN_LIMITED_TO_CAMERAS", AUDIT, actor="limited operator"),
    case("a worker's token for the control plane alone", got("somebody's worker"), INDEX_STATUS,
         UNAUTHENTICATED, "TOKEN_INVALID", NOWHERE),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("refusals")
    provider = TestProvider(folder)
    told = provider.settings()
    async with (
        running_people_site(
            folder,
            idp_issuer=told.issuer,
            idp_audience=told.audience,
            idp_jwks_file=told.jwks_file,
            idp_algorithm=told.algorithm,
        ) as people,
        running_edge(
            folder,
            clusters={
                "control_plane": people.site.target,
                "identity_index": people.site.settings.index_target,
            },
            identity_provider=TokenIssuer(
                issuer=told.issuer, audiences=[told.audience], jwks_file=told.jwks_file
            ),
        ) as edge,
    ):
        site = people.site
        cameras = ControlPlaneServiceStub(site.channel())
        ids = [await _camera(cameras, name) for name in ("door", "yard")]
        running = World(
            site=site,
            edge=edge,
            doors=Doors(edge=edge, target=site.target),
            log=folder / "envoy.log",
            provider=provider,
            camera=ids[0],
            other_camera=ids[1],
        )
        await _hand_out(running)
        yield running
        await running.doors.close()
        assert not site.stopping, "a root task of the control plane crashed"


async def _camera(cameras: Any, name: str) -> str:
    request = control_plane_service_pb2.CreateCameraRequest(
        name=name, connection_string=RTSP, desired_state="running"
    )
    return str((await cameras.CreateCamera(request)).data.id)


async def _hand_out(world: World) -> None:
    """Make the tokens that were good once, or are good for something else."""
    tokens = TokenServiceStub(world.site.channel())

    async def issue(name: str, role: str, **fields: Any) -> str:
        request = token_service_pb2.IssueTokenRequest(role=role, subject=name, **fields)
        issued = (await tokens.IssueToken(request)).data
        world.texts[name] = issued.token
        return str(issued.id)

    revoked = await issue("revoked by id", "admin")
    await issue("limited", "viewer", cameras=[world.camera])
    await issue("limited operator", "operator", cameras=[world.camera])
    await issue("somebody's worker", "worker", camera_id=world.camera)
    await tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=revoked))
    # a second of its own: of one second nobody knows what came first
    world.texts["revoked by subject"] = world.authority.token(sub="gone", iat=int(time.time()) - 60)
    await tokens.RevokeSubjectTokens(token_service_pb2.RevokeSubjectTokensRequest(subject="gone"))
    for name, camera_id, epoch in (
        ("old worker", world.camera, 1),
        ("worker", world.camera, 2),
        ("other worker", world.other_camera, 1),
    ):
        token = await _worker_token(world, camera_id)
        assert token.epoch == epoch
        world.texts[name] = token.token


async def _worker_token(world: World, camera_id: str) -> Any:
    manager = ControlPlaneServiceStub(world.site.channel("manager"))
    request = control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    return await manager.IssueWorkerToken(request)


def headers_of(world: World, line: Case) -> Headers:
    return [("authorization", value) for value in line.headers(world)]


async def test_there_are_at_least_24() -> None:
    assert len({str(line) for line in TABLE}) == len(TABLE) >= 24


@pytest.mark.parametrize("line", TABLE, ids=str)
async def test_refused(world: World, line: Case) -> None:
    before = await world.audited()
    asked = (line.rpc, line.fields(world), headers_of(world, line))
    answer = await world.doors.rest(*asked)
    assert (answer.status, answer.code, answer.reason) == (_HTTP[line.code], line.code, line.reason)
    told = await world.doors.grpc(*asked)
    assert told.code is line.code
    if line.trace != EDGE:  # the edge has a sentence for callers of gRPC, and no details
        assert told.reason == line.reason
    after = await world.audited()
    new = {key: count - before.get(key, 0) for key, count in after.items()}
    fresh = {key: count for key, count in new.items() if count}
    if line.trace != AUDIT:
        assert fresh == {}
        return
    # asked twice, and one kind of refusal
    assert fresh == {(line.reason, action_of(line.rpc.rpartition("/")[2]), line.actor): 2}


async def test_what_the_edge_refuses_is_in_its_log_without_the_token(world: World) -> None:
    sent, ids = [], []
    for line in TABLE:
        if line.trace == EDGE:
            answer = await world.doors.rest(line.rpc, line.fields(world), headers_of(world, line))
            ids.append(answer.headers["x-request-id"])
            sent += [
                word for value in line.headers(world) for word in value.split() if len(word) > 9
            ]
    assert len(ids) > 10
    lines = await _logged(world, ids)
    assert {entry["event"] for entry in lines.values()} == {"edge.unauthenticated"}
    assert {entry["client_address"] for entry in lines.values()} == {"127.0.0.1"}
    assert {entry["rpc"] for entry in lines.values()} <= {GET_CAMERA, None}
    assert any("expired" in entry["why"] for entry in lines.values())
    text = world.log.read_text()
    for word in sent:
        assert word not in text
        assert word.rpartition(".")[2][:40] not in text or len(word.rpartition(".")[2]) < 20


async def _logged(world: World, ids: list[str]) -> dict[str, Any]:
    async with asyncio.timeout(_LOGGED_WITHIN_S):
        while True:
            found = {}
            for text in world.log.read_text().splitlines():
                entry = json.loads(text) if text.startswith("{") and text.endswith("}") else {}
                found[entry.get("request_id")] = entry
            if found.keys() >= set(ids):
                return {one: found[one] for one in ids}
            await asyncio.sleep(0.05)  # nothing tells when another program has written


@pytest.mark.parametrize("name", ["access_token", "token", "authorization"])
async def test_a_token_in_the_query_is_none_and_is_not_logged(world: World, name: str) -> None:
    token = world.site.token("admin").reveal()
    async with world.edge.client() as client:
        answer = await client.get(f"/cameras?{name}={token}")
    assert (answer.status_code, answer.json()["details"][0]["reason"]) == (401, "TOKEN_MISSING")
    await _logged(world, [answer.headers["x-request-id"]])
    assert token.rpartition(".")[2] not in world.log.read_text()


@pytest.mark.parametrize(
    ("length", "status", "reason"), [(6200, 401, "TOKEN_INVALID"), (9000, 431, "")]
)
async def test_a_token_that_is_too_large(
    world: World, length: int, status: int, reason: str
) -> None:
    """The edge takes headers of 8 KiB, so a token of that size is never looked at."""
    async with world.edge.client("e30.e30." + "a" * length) as client:
        answer = await client.get("/cameras")
    assert answer.status_code == status
    assert [one["reason"] for one in answer.json()["details"]] == ([reason] if reason else [])


SPOOFED = {
    "x-dfip-role": "admin", "x-dfip-subject": "root", "x-forwarded-user": "root",
    "x-forwarded-client-cert": "Subject=admin", "x-jwt-payload": "eyJyb2xlIjoiYWRtaW4ifQ",
}  # fmt: skip


@pytest.mark.parametrize("rpc", [GET_CAMERA, DELETE_CAMERA, ISSUE_TOKEN, ROTATE_KEYS])
async def test_past_the_edge_straight_to_the_service(world: World, rpc: str) -> None:
    """Who gets to the service's own address is checked there all the same, and is in the audit."""
    before = await world.audited()
    channel = grpc.aio.insecure_channel(world.site.target)
    async with channel:
        call = channel.unary_unary(f"/{rpc}")
        for metadata in ((), tuple(SPOOFED.items())):
            with refused(UNAUTHENTICATED, "TOKEN_MISSING"):
                await call(b"", metadata=metadata)
        with refused(UNAUTHENTICATED, "TOKEN_INVALID"):
            await call(b"", metadata=[("authorization", world.forged["unsigned"][0])])
        with refused(PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            metadata = (*SPOOFED.items(), ("authorization", world.role("worker")[0]))
            await call(b"", metadata=metadata)
    after = await world.audited()
    reasons = {key[0] for key in after if after[key] > before.get(key, 0)}
    assert reasons == {"TOKEN_MISSING", "TOKEN_INVALID", "ROLE_NOT_ALLOWED"}


async def test_a_stream_ends_when_its_token_is_revoked(world: World) -> None:
    issued = world.site.control_plane.parts.issuer.issue(
        role_from_name("viewer"), subject="watcher", lifetime_s=600
    )
    async with open_channel(world.edge.grpc_target, token=StaticToken(issued.token)) as channel:
        watching = SightingServiceStub(channel).WatchSightings(
            sighting_service_pb2.WatchSightingsRequest()
        )
        answers = aiter(watching)
        await anext(answers)
        await TokenServiceStub(world.site.channel()).RevokeToken(
            token_service_pb2.RevokeTokenRequest(token_id=issued.token_id)
        )
        with refused(UNAUTHENTICATED, "TOKEN_REVOKED"):
            async with asyncio.timeout(10):
                async for _ in answers:
                    pass


async def test_a_workers_stream_ends_when_another_worker_has_the_camera(world: World) -> None:
    camera_id = await _camera(ControlPlaneServiceStub(world.site.channel()), "replaced")
    issued = await _worker_token(world, camera_id)
    stream = TelemetryStream(channel=world.site.channel(token=issued.token))
    await stream.send(sample(datetime.now(UTC)))
    await _worker_token(world, camera_id)
    with refused(FAILED_PRECONDITION, "STALE_EPOCH"):
        await stream.send(sample(datetime.now(UTC)))
