"""Tokens that end before their time: at once here, within seconds elsewhere, in the middle too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from control_plane.retention import Retention
from control_plane.tokens import records
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    token_service_pb2_grpc,
)
from dfip.control_plane.v1 import token_service_pb2 as pb
from service_runtime.authentication import TokenVerifier
from service_runtime.errors import Unauthenticated
from service_runtime.revocations import FILE_NAME, RevocationFile, RevocationList
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
RTSP = "rtsp://user:canary-pass@10.0.0.5:554/stream"


class Site:
    def __init__(self, running: RunningControlPlane, clock: VirtualClock) -> None:
        self.running = running
        self.clock = clock
        admin = running.channel("admin")
        self.tokens: Any = token_service_pb2_grpc.TokenServiceStub(admin)
        self.cameras: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(admin)
        self.manager: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
            running.channel("manager")
        )
        # as the index has it
        self.elsewhere = TokenVerifier(running.settings.jwks_file, clock)

    async def token(
        self, subject: str = "Ada", role: str = "viewer", lifetime_s: int = 0
    ) -> pb.IssuedToken:
        request = pb.IssueTokenRequest(role=role, subject=subject, lifetime_s=lifetime_s)
        issued: pb.IssueTokenResponse = await self.tokens.IssueToken(request)
        return issued.data

    async def revoke(self, token_id: str) -> None:
        await self.tokens.RevokeToken(pb.RevokeTokenRequest(token_id=token_id))

    async def look(self, token: str) -> None:
        stub: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
            self.running.channel(token=token)
        )
        await stub.ListCameraRuntimes(control_plane_service_pb2.ListCameraRuntimesRequest())

    async def listed(self, **wanted: Any) -> list[pb.TokenRecord]:
        answer = await self.tokens.ListTokens(pb.ListTokensRequest(**wanted))
        return list(answer.data)

    async def worker_token(self) -> tuple[str, str]:
        created = await self.cameras.CreateCamera(
            control_plane_service_pb2.CreateCameraRequest(
                name="door", connection_string=RTSP, desired_state="running"
            )
        )
        return created.data.id, await self.next_worker_token(created.data.id)

    async def next_worker_token(self, camera_id: str) -> str:
        request = control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
        issued = await self.manager.IssueWorkerToken(request)
        return str(issued.token)

    async def until_refused_elsewhere(self, token: str) -> str:
        async with asyncio.timeout(10):
            while True:
                try:
                    self.elsewhere.verify(token)
                except Unauthenticated as error:
                    return error.reason
                await asyncio.sleep(0.01)


@pytest.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[Site]:
    del database_engine  # chosen, for the control plane
    clock = VirtualClock()
    async with running_control_plane(tmp_path, clock=clock) as running:
        yield Site(running, clock)


async def test_a_revoked_token_is_refused_everywhere_when_the_call_returns(site: Site) -> None:
    one, other = await site.token(), await site.token()
    await site.look(one.token)
    await site.revoke(one.id)
    await site.revoke(one.id)  # again
    with refused(UNAUTHENTICATED, "TOKEN_REVOKED"):
        await site.look(one.token)
    with pytest.raises(Unauthenticated, match="revoked"):
        site.elsewhere.verify(one.token)
    await site.look(other.token)
    assert site.elsewhere.verify(other.token).token_id == other.id


async def test_all_tokens_of_a_subject_end_and_new_ones_hold(site: Site) -> None:
    old, others = await site.token("Ada"), await site.token("Grace")
    await site.clock.advance(10)
    young = await site.token("Ada")  # in the very second of the revocation
    await site.tokens.RevokeSubjectTokens(pb.RevokeSubjectTokensRequest(subject="Ada"))
    new = await site.token("Ada")
    for ended in (old, young):
        with refused(UNAUTHENTICATED, "TOKEN_REVOKED"):
            await site.look(ended.token)
    await site.look(new.token)
    await site.look(others.token)
    assert {record.id for record in await site.listed(in_force=True)} == {new.id, others.id}


async def test_the_site_and_its_administrator_get_new_tokens(site: Site) -> None:
    folder = site.running.settings
    await site.clock.advance(10)
    before = (folder.data_dir / "admin.token").read_text()
    request = pb.RevokeSubjectTokensRequest(subject="administrator")
    await site.tokens.RevokeSubjectTokens(request)
    after = (folder.data_dir / "admin.token").read_text()
    assert before != after
    with pytest.raises(Unauthenticated):
        site.elsewhere.verify(before.strip())
    assert site.elsewhere.verify(after.strip()).subject == "administrator"


async def test_tokens_are_listed_without_their_text(site: Site) -> None:
    made = [await site.token(f"Person {number}") for number in range(3)]
    await site.revoke(made[1].id)
    request = pb.ListTokensRequest(page_size=2)
    first = await site.tokens.ListTokens(request)
    request.page_token = first.next_page_token
    rest = await site.tokens.ListTokens(request)
    found = {record.id: record for record in (*first.data, *rest.data)}
    assert found.keys() == {one.id for one in made}
    revoked = found[made[1].id]
    assert (revoked.revoked_by, revoked.HasField("revoked_at")) == ("test-admin", True)
    assert not found[made[0].id].HasField("revoked_at")
    assert found[made[0].id].issued_by == "test-admin"
    assert not [one for one in made if one.token in str(found)]
    assert [record.id for record in await site.listed(subject="Person 2")] == [made[2].id]


async def test_a_replaced_worker_is_refused_by_the_others_but_told_so_here(site: Site) -> None:
    camera_id, old = await site.worker_token()
    assert site.elsewhere.verify(old).camera_id == camera_id
    new = await site.next_worker_token(camera_id)
    assert await site.until_refused_elsewhere(old) == "TOKEN_REVOKED"
    site.elsewhere.verify(new)
    worker: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        site.running.channel(token=old)
    )
    heartbeat = control_plane_service_pb2.ReportHeartbeatRequest(
        camera_id=camera_id, status="running"
    )
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker.ReportHeartbeat(heartbeat)


async def test_the_worker_of_a_camera_that_is_gone_is_refused_by_the_others(site: Site) -> None:
    camera_id, token = await site.worker_token()
    site.elsewhere.verify(token)
    await site.cameras.DeleteCamera(
        control_plane_service_pb2.DeleteCameraRequest(camera_id=camera_id)
    )
    assert await site.until_refused_elsewhere(token) == "TOKEN_REVOKED"


async def _first(site: Site, token: str) -> Any:
    """Open a stream, and return it once it has begun."""
    stub: Any = event_service_pb2_grpc.EventServiceStub(site.running.channel(token=token))
    stream = stub.WatchEvents(event_service_pb2.WatchEventsRequest())
    await stream.read()
    return stream


async def test_a_stream_ends_when_its_token_is_revoked(site: Site) -> None:
    one, other = await site.token(), await site.token()
    ending, staying = await _first(site, one.token), await _first(site, other.token)
    await site.revoke(one.id)
    with refused(UNAUTHENTICATED, "TOKEN_REVOKED"):
        async with asyncio.timeout(10):
            while await ending.read() is not grpc.aio.EOF:
                pass  # signs of life
    assert not staying.done()
    staying.cancel()


async def test_a_stream_ends_when_its_token_expires(site: Site) -> None:
    # every second that passes has somebody wake up
    stream = await _first(site, (await site.token(lifetime_s=60)).token)
    await site.clock.advance(70)
    with refused(UNAUTHENTICATED, "TOKEN_EXPIRED"):
        async with asyncio.timeout(10):
            while await stream.read() is not grpc.aio.EOF:
                pass  # signs of life


async def test_what_expired_is_forgotten(site: Site) -> None:
    one = await site.token()
    await site.revoke(one.id)
    await site.tokens.RevokeSubjectTokens(pb.RevokeSubjectTokensRequest(subject="Grace"))
    retention: Retention = site.running.control_plane.parts.retention
    file = RevocationFile(site.running.settings.jwks_file.with_name(FILE_NAME))
    assert file.current().tokens == {one.id}
    await site.clock.leap(25 * 3600)
    await retention.once()
    kept = await records.TokenRecords(site.running.control_plane.parts.database).revocations()
    assert kept.tokens == frozenset()
    assert kept.subjects.keys() == {"Grace"}
    await site.clock.leap(370 * 24 * 3600)
    await retention.once()
    kept = await records.TokenRecords(site.running.control_plane.parts.database).revocations()
    assert kept.subjects == {}


async def test_there_is_an_end_to_tokens(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST", 1)
    await site.token()
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_TOKENS"):
        await site.token()
    await site.revoke("one")
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REVOCATIONS"):
        await site.revoke("two")


def test_a_list_that_cannot_be_read_leaves_the_one_before_in_force(tmp_path: Path) -> None:
    file = RevocationFile(tmp_path / FILE_NAME)
    assert file.current() == RevocationList()
    told = RevocationList(
        tokens=frozenset({"a"}), subjects={"s": 7}, ended=frozenset({"w"}), epochs={"c": 3}
    )
    (tmp_path / FILE_NAME).write_bytes(told.encode())
    assert file.current() == told
    for broken in (b"", b"[]", b'{"tokens": 7}', b"\xff"):
        (tmp_path / FILE_NAME).write_bytes(broken)
        assert file.current() == told
    assert told.names(token_id="x", subject="s", issued_at=6)
    assert not told.names(token_id="x", subject="s", issued_at=7)
    assert told.replaces(token_id="x", camera_id="c", epoch=2)
    assert not told.replaces(token_id="x", camera_id="c", epoch=3)
    assert not told.replaces(token_id="x", camera_id=None, epoch=None)
