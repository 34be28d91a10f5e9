"""The row "auth": nobody gets in who does not belong, at any door, and nobody stays who ceased to.

Each fault is a way to try; ``auth_world`` makes the attempts and holds what came of them against
who may what. The matrix of every RPC by every role is the one of ``tests/contract/test_roles.py``,
asked for through a real edge.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from dfip.control_plane.v1 import (
    admin_service_pb2,
    sighting_service_pb2,
    token_service_pb2,
)
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1.admin_service_pb2_grpc import AdminServiceStub
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from dfip.control_plane.v1.worker_gateway_service_pb2_grpc import WorkerGatewayServiceStub
from service_runtime.authentication import TokenVerifier, role_from_name
from service_runtime.clients import StaticToken, open_channel
from service_runtime.clock import SystemClock
from service_runtime.identifiers import new_id
from service_runtime.server import Server
from tests.contract.services import SERVICES
from tests.contract.test_roles import LET_IN, LIMITED, ROLES, Door
from tests.faults.auth_world import (
    MARK,
    MARKED_OCCUPANCY,
    NOT_LET_IN,
    ROOM,
    SPOOFED,
    World,
    bearer,
    running_world,
)
from tests.faults.row import Figures, Row, inject, names
from tests.support.edge import running_edge
from tests.support.engines import POSTGRES, SQLITE, engine_for_all
from tests.support.forgeries import forged_headers
from tests.support.refusals import refused
from tests.support.telemetry import TelemetryStream, sample
from tests.support.tokens import TestAuthority

NAME = "auth"
_ENDS_WITHIN_S = 10
_EDGE_ROOMS = ("control_plane", "camera_manager", "identity_index")

Fault = Callable[[World], Awaitable[None]]


# ---- tokens that nobody issued so


async def _kept_out_with(world: World, *kinds: str) -> None:
    headers = forged_headers(world.authority)
    for kind in kinds:
        pairs = [("authorization", value) for value in headers[kind]]
        some = list(world.intrusions())
        if not world.thorough:
            some = world.dice.sample(some, 2)
        for rpc, fields in some:
            await world.kept_out(rpc, fields, pairs)


async def algorithm_none(world: World) -> None:
    await _kept_out_with(world, "unsigned", "unsigned with a signature")


async def public_key_as_secret(world: World) -> None:
    await _kept_out_with(world, "public key as secret", "key file as secret")


async def wrong_key(world: World) -> None:
    kinds = ("key id", "no key id", "other site", "other site's under our key's name")
    await _kept_out_with(world, *kinds)


async def wrong_audience_or_issuer(world: World) -> None:
    await _kept_out_with(world, "audience", "issuer")


async def expired_or_not_yet_valid(world: World) -> None:
    await _kept_out_with(world, "expired", "issued in the future", "not before the future")


async def tokens_that_say_how_to_check_them(world: World) -> None:
    await _kept_out_with(world, "critical", "keys elsewhere")


async def roles_made_up(world: World) -> None:
    kinds = ("no role", "role unspecified", "unknown role", "list of roles", "role raised")
    await _kept_out_with(world, *kinds, "other body")


async def doubled_headers(world: World) -> None:
    await _kept_out_with(world, "twice", "two in one", "two kinds")


async def no_proper_token(world: World) -> None:
    await _kept_out_with(world, "nothing", "no scheme", "other scheme", "cut", "empty", "nonsense")


# ---- everything but a token


async def spoofed_identity_headers(world: World) -> None:
    """Without a token, and with one that may less than the headers say."""
    for rpc, fields in world.intrusions():
        await world.kept_out(rpc, fields, SPOOFED)
        if not rpc.endswith("/GetCamera"):
            await world.kept_out(rpc, fields, (*SPOOFED, *bearer(world.token("viewer"))))


async def tokens_where_none_belongs(world: World) -> None:
    token = world.token("admin")
    for headers in (
        (("cookie", f"authorization={token}"),),
        (("x-authorization", f"Bearer {token}"),),
        (("proxy-authorization", f"Bearer {token}"),),
        (("grpc-metadata-authorization", f"Bearer {token}"),),
    ):
        rpc, fields = world.dice.choice(world.intrusions())
        await world.kept_out(rpc, fields, headers)
    async with world.edge.client() as client:
        for name in ("access_token", "token", "authorization", "jwt"):
            answer = await client.get(f"/cameras?{name}={token}")
            world.figures["cells"] += 1
            assert answer.status_code == 401, f"let in by the query {name}"


async def past_the_edge(world: World) -> None:
    """At the service's own address, with what the edge would have said of somebody else."""
    channel = grpc.aio.insecure_channel(world.site.target)
    async with channel:
        for rpc in sorted(LET_IN):
            if not rpc.startswith(ROOM):
                continue
            for headers in ((), SPOOFED):
                call = channel.stream_stream(f"/{rpc}")(iter([b""]), metadata=headers)
                code = await call.code()
                world.figures["cells"] += 1
                assert code is grpc.StatusCode.UNAUTHENTICATED, f"let in: {rpc}: {code}"


# ---- good tokens, for something else


async def every_rpc_by_every_role(world: World) -> None:
    async with _door(world) as (through_edge, straight):
        for name in sorted(LET_IN):
            # workers are no room of the edge's
            door = straight if ".vision_worker." in name else through_edge
            for role in sorted(ROLES):
                code = await door.knock(name, f"Bearer {door.token(role)}")
                _hold(world, name, role, code, is_right=role in LET_IN[name])
            for role in ("viewer", "operator"):
                code = await door.knock(name, f"Bearer {door.token(role, cameras=['c'])}")
                allowed = role in LIMITED.get(name, ())
                _hold(world, name, f"{role} of one camera", code, is_right=allowed)
            forged = door.forged()
            forged.pop("control plane only")  # of the edge's audiences it is one
            kinds = sorted(forged) if world.thorough else world.dice.sample(sorted(forged), 2)
            for kind in kinds:
                _hold(world, name, kind, await door.knock(name, *forged[kind]), is_right=False)


def _hold(world: World, rpc: str, who: str, code: grpc.StatusCode, *, is_right: bool) -> None:
    world.figures["cells"] += 1
    is_in = code not in NOT_LET_IN
    if is_in != is_right:
        world.figures["unexpected_allows" if is_in else "unexpected_refusals"] += 1
    assert is_in is is_right, f"{who} at {rpc}: {code}"


@asynccontextmanager
async def _door(world: World) -> AsyncIterator[tuple[Door, Door]]:
    """Run every service with nothing behind the door, and an edge before it."""
    folder = Path(tempfile.mkdtemp(dir=world.folder))
    authority = TestAuthority(folder)
    clock = SystemClock()
    server = Server(
        room="everything",
        listen="127.0.0.1:0",
        bindings=SERVICES,
        verifier=TokenVerifier(authority.jwks_file, clock),
        clock=clock,
        reflection=False,
    )
    await server.start()
    try:
        async with running_edge(
            folder, clusters=dict.fromkeys(_EDGE_ROOMS, server.address)
        ) as edge:
            doors = Door(authority, edge.grpc_target), Door(authority, server.address)
            try:
                yield doors
            finally:
                for door in doors:
                    await door.close()
    finally:
        await server.stop(0)


async def roles_that_may_not(world: World) -> None:
    """At the real services, so that it shows what came of it."""
    for role in ("viewer", "index", "manager", "control_plane"):
        for rpc, fields in world.intrusions():
            if role not in LET_IN[rpc]:
                await world.kept_out(rpc, fields, bearer(world.token(role)))
    for rpc, fields in world.intrusions():
        if rpc.endswith(("/IssueToken", "/RotateKeys", "/DeleteCamera")):
            await world.kept_out(rpc, fields, bearer(world.token("operator")))


async def worker_of_another_camera(world: World) -> None:
    mine, other = world.dice.sample(world.cameras, 2)
    for rpc, fields in world.reports(other.id):
        await world.kept_out(rpc, fields, bearer(mine.token))
    gateway: Any = WorkerGatewayServiceStub(world.site.channel(token=mine.token)).Connect()
    hello = gateway_pb2.WorkerHello(session_id=new_id(), camera_id=other.id)
    await _connection_refused(world, gateway, hello, "CAMERA_NOT_YOURS")


async def worker_of_an_old_epoch(world: World) -> None:
    camera = world.pick()
    old = camera.token
    stream = TelemetryStream(channel=world.site.channel(token=old))
    await stream.send(sample(world.clock.now()))
    await world.new_worker(camera)
    # on the stream that was open before, and on everything new
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await stream.send(sample(world.clock.now(), MARKED_OCCUPANCY))
    for rpc, fields in world.reports(camera.id):
        await world.kept_out(rpc, fields, bearer(old), by={"STALE_EPOCH"})
    gateway: Any = WorkerGatewayServiceStub(world.site.channel(token=old)).Connect()
    hello = gateway_pb2.WorkerHello(session_id=new_id(), camera_id=camera.id, pod_name=MARK)
    await _connection_refused(world, gateway, hello, "STALE_EPOCH")


async def _connection_refused(world: World, gateway: Any, hello: Any, reason: str) -> None:
    """Hold that the one message with a camera's address is not sent."""
    world.figures["cells"] += 1
    code = (
        grpc.StatusCode.FAILED_PRECONDITION
        if reason == "STALE_EPOCH"
        else grpc.StatusCode.PERMISSION_DENIED
    )
    await gateway.write(gateway_pb2.ConnectRequest(hello=hello))
    with refused(code, reason):
        answer = await gateway.read()
        assert answer is grpc.aio.EOF or not answer.HasField("assignment"), "an assignment"
        await gateway.read()


async def token_of_one_service_at_another(world: World) -> None:
    """What is good for the control plane alone is worth nothing at the index."""
    issued = world.site.control_plane.parts.issuer.issue(
        role_from_name("worker"),
        subject="somebody's",
        lifetime_s=600,
        camera_id=world.pick().id,
        epoch=world.pick().epoch,
        audience="dfip.control_plane",
    )
    rpc = "dfip.identity_index.v1.IdentityIndexService/GetIndexStatus"
    for door in (world.doors.rest, world.doors.grpc):
        for token, right in ((issued.token.reveal(), False), (world.token("operator"), True)):
            answer = await door(rpc, {}, bearer(token))
            _hold(world, rpc, "control plane only", answer.code, is_right=right)


async def limited_token_at_another_camera(world: World) -> None:
    mine, other = world.dice.sample(world.cameras, 2)
    request = token_service_pb2.IssueTokenRequest(role="operator", cameras=[mine.id])
    headers = bearer((await world.tokens.IssueToken(request)).data.token)
    get, update = f"{ROOM}ControlPlaneService/GetCamera", f"{ROOM}ControlPlaneService/UpdateCamera"
    await world.let_in(get, {"camera_id": mine.id}, headers)
    there_is_none = {"CAMERA_NOT_FOUND"}
    await world.kept_out(get, {"camera_id": other.id}, headers, by=there_is_none)
    await world.kept_out(update, {"camera_id": other.id, "name": MARK}, headers, by=there_is_none)
    await world.kept_out(f"{ROOM}PersonService/CreatePerson", {"name": MARK}, headers)


async def provider_without_our_roles(world: World) -> None:
    provider = world.provider
    get = (f"{ROOM}ControlPlaneService/GetCamera", {"camera_id": world.pick().id})
    await world.let_in(*get, bearer(provider.token("viewer")))
    for token in (
        provider.token("guest"),
        provider.token(roles=None),
        provider.token(roles={"admin": True}),
        provider.token("worker", "manager", "index", "control_plane"),
        provider.token("admin", aud="other"),
        provider.token("admin", iss="dfip", aud="dfip", role="admin", jti="x"),
        provider.token("admin", lifetime_s=-60),
        world.authority.token("admin", iss=provider.issuer, aud=provider.audience),
    ):
        await world.kept_out(*get, bearer(token))


# ---- tokens that were good


async def revoked_by_id_or_by_subject(world: World) -> None:
    request = token_service_pb2.IssueTokenRequest(role="admin", subject="leaver")
    issued = (await world.tokens.IssueToken(request)).data
    get = (f"{ROOM}ControlPlaneService/GetCamera", {"camera_id": world.pick().id})
    await world.let_in(*get, bearer(issued.token))
    await world.tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=issued.id))
    await world.kept_out(*get, bearer(issued.token))
    subject = f"leaver {new_id()}"
    earlier = int(world.clock.now().timestamp()) - 60
    token = world.authority.token("admin", sub=subject, iat=earlier)
    await world.let_in(*get, bearer(token))
    await world.tokens.RevokeSubjectTokens(
        token_service_pb2.RevokeSubjectTokensRequest(subject=subject)
    )
    for rpc, fields in world.intrusions():
        await world.kept_out(rpc, fields, bearer(token))


async def expired_mid_stream(world: World) -> None:
    async def later() -> None:
        world.clock.shift += timedelta(minutes=20)

    try:
        await _ended(world, later, "TOKEN_EXPIRED")
    finally:
        world.clock.shift = timedelta()


async def revoked_mid_stream(world: World) -> None:
    issued: list[str] = []

    async def revoke() -> None:
        request = token_service_pb2.RevokeTokenRequest(token_id=issued[0])
        await world.tokens.RevokeToken(request)

    await _ended(world, revoke, "TOKEN_REVOKED", issued)


async def _ended(
    world: World,
    happens: Callable[[], Awaitable[None]],
    reason: str,
    ids: list[str] | None = None,
) -> None:
    """Hold that a stream which was let in ends when something happens to its token."""
    issued = world.site.control_plane.parts.issuer.issue(
        role_from_name("viewer"), subject="watcher", lifetime_s=600
    )
    if ids is not None:
        ids.append(issued.token_id)
    async with open_channel(world.edge.grpc_target, token=StaticToken(issued.token)) as channel:
        stream = aiter(
            SightingServiceStub(channel).WatchSightings(
                sighting_service_pb2.WatchSightingsRequest()
            )
        )
        await anext(stream)
        await happens()
        with refused(grpc.StatusCode.UNAUTHENTICATED, reason):
            async with asyncio.timeout(_ENDS_WITHIN_S):
                async for _ in stream:
                    pass
    world.figures["streams_ended"] += 1


async def signing_keys_revoked(world: World) -> None:
    """Every token of before is worth nothing, at the service at once, at the edge soon after."""
    old = {role: world.token(role) for role in ("viewer", "admin")}
    request = admin_service_pb2.RotateKeysRequest(which="signing", revoke=True)
    await AdminServiceStub(world.site.channel()).RotateKeys(request)
    get = (f"{ROOM}ControlPlaneService/GetCamera", {"camera_id": world.pick().id})
    for token in old.values():
        answer = await world.doors.straight(*get, bearer(token))
        _hold(world, get[0], "token of a revoked key", answer.code, is_right=False)
    async with asyncio.timeout(_ENDS_WITHIN_S):
        # nothing else tells when another program has read a file
        while (await world.doors.rest(*get, bearer(world.token("viewer")))).code in NOT_LET_IN:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for token in old.values():
        await world.kept_out(*get, bearer(token))
    for camera in world.cameras:
        await world.new_worker(camera)


FAULTS: tuple[Fault, ...] = (
    algorithm_none,
    public_key_as_secret,
    wrong_key,
    wrong_audience_or_issuer,
    expired_or_not_yet_valid,
    tokens_that_say_how_to_check_them,
    roles_made_up,
    doubled_headers,
    no_proper_token,
    spoofed_identity_headers,
    tokens_where_none_belongs,
    past_the_edge,
    roles_that_may_not,
    worker_of_another_camera,
    worker_of_an_old_epoch,
    token_of_one_service_at_another,
    limited_token_at_another_camera,
    provider_without_our_roles,
    revoked_by_id_or_by_subject,
    expired_mid_stream,
    revoked_mid_stream,
    signing_keys_revoked,
)
# the same for every engine, and by far the longest
MATRIX: tuple[Fault, ...] = (every_rpc_by_every_role,)


async def put_in(world: World, faults: Sequence[Fault], *, seed: int, rounds: int) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    world.figures["faults_injected"] += count
    return world.figures


async def run(seed: int, size: int) -> Figures:
    """Run the whole row."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as folder:
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                async with running_world(
                    Path(folder) / engine, dice=random.Random(seed), thorough=True
                ) as world:
                    await put_in(world, FAULTS, seed=seed, rounds=size)
                    if engine == SQLITE:
                        await put_in(world, MATRIX, seed=seed, rounds=1)
                    found += world.figures
    return {key: found[key] for key in FIGURES}


FIGURES = (
    "faults_injected", "cells", "unexpected_allows", "unexpected_refusals", "streams_ended",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(FAULTS + MATRIX), run=run)
