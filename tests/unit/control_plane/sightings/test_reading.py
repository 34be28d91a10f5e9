"""Lists, single sightings, pictures and the watch."""

import uuid
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.database import Database
from control_plane.engines.sqlite import SqliteEngine
from control_plane.schema import migrate
from control_plane.sightings.model import SightingFilter
from control_plane.sightings.store import SightingStore
from control_plane.sightings.tables import SightingRow
from dfip.control_plane.v1 import sighting_service_pb2 as pb
from dfip.control_plane.v1 import sighting_service_pb2_grpc
from service_runtime.clock import SystemClock
from service_runtime.resume_tokens import ResumeToken
from tests.support.control_plane import RunningControlPlane
from tests.support.refusals import refused
from tests.support.sightings import CROP, START, Reports, report, stamp

NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.fixture
def sightings(site: RunningControlPlane) -> sighting_service_pb2_grpc.SightingServiceStub:
    return sighting_service_pb2_grpc.SightingServiceStub(site.channel("viewer"))


async def ids(
    sightings: sighting_service_pb2_grpc.SightingServiceStub, request: pb.ListSightingsRequest
) -> list[str]:
    """Walk all pages of a list."""
    found: list[str] = []
    while True:
        answer = await sightings.ListSightings(request)
        found += [sighting.id for sighting in answer.data]
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def test_filters_and_pages(
    site: RunningControlPlane, sightings: sighting_service_pb2_grpc.SightingServiceStub
) -> None:
    door, gate = await Reports.open(site), await Reports.open(site)
    early = report("unknown", start=0, end=5)
    middle = report("review", start=10, end=15)
    late = report("unknown", start=20, end=25)
    await door.send(middle, late)
    await gate.send(early)
    everything = [late.id, middle.id, early.id]
    assert await ids(sightings, pb.ListSightingsRequest()) == everything
    assert await ids(sightings, pb.ListSightingsRequest(page_size=1)) == everything
    at_door = pb.ListSightingsRequest(camera_id=door.camera_id)
    assert await ids(sightings, at_door) == [late.id, middle.id]
    assert await ids(sightings, pb.ListSightingsRequest(decision="review")) == [middle.id]
    assert await ids(sightings, pb.ListSightingsRequest(since=stamp(15))) == [late.id, middle.id]
    assert await ids(sightings, pb.ListSightingsRequest(until=stamp(10))) == [early.id]
    nobody = pb.ListSightingsRequest(person_id=str(uuid.uuid4()))
    assert await ids(sightings, nobody) == []


async def test_what_is_not_there_is_not_found(
    sightings: sighting_service_pb2_grpc.SightingServiceStub,
) -> None:
    for sighting_id in ("x", str(uuid.uuid4()), "../../etc/passwd"):
        with refused(NOT_FOUND, "SIGHTING_NOT_FOUND"):
            await sightings.GetSighting(pb.GetSightingRequest(sighting_id=sighting_id))
        with refused(NOT_FOUND, "SIGHTING_NOT_FOUND"):
            await sightings.GetSightingImage(pb.GetSightingImageRequest(sighting_id=sighting_id))
        with refused(NOT_FOUND, "SIGHTING_NOT_FOUND"):
            context = pb.GetSightingContextRequest(sighting_id=sighting_id)
            await sightings.GetSightingContext(context)
    with refused(NOT_FOUND, "CAMERA_NOT_FOUND"):
        await sightings.ListSightings(pb.ListSightingsRequest(camera_id="door"))
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await sightings.ListSightings(pb.ListSightingsRequest(person_id="ada"))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        await sightings.ListSightings(pb.ListSightingsRequest(page_token="rubbish"))


async def test_the_picture_is_a_jpeg(
    site: RunningControlPlane, sightings: sighting_service_pb2_grpc.SightingServiceStub
) -> None:
    reports = await Reports.open(site)
    sent = report("unknown", crop=CROP)
    await reports.send(sent)
    answer = await sightings.GetSightingImage(pb.GetSightingImageRequest(sighting_id=sent.id))
    assert (answer.content_type, answer.data) == ("image/jpeg", CROP)
    one = await sightings.GetSighting(pb.GetSightingRequest(sighting_id=sent.id.upper()))
    assert one.data.id == sent.id


async def test_a_watcher_sees_what_comes_and_can_go_on_later(
    site: RunningControlPlane, sightings: sighting_service_pb2_grpc.SightingServiceStub
) -> None:
    door, gate = await Reports.open(site), await Reports.open(site)
    await door.send(report("unknown"))
    watching = sightings.WatchSightings(pb.WatchSightingsRequest(camera_id=door.camera_id))
    start = await watching.read()
    assert not start.sightings
    first, second = report("unknown"), report("unknown", start=5)
    await gate.send(report("unknown"))
    await door.send(first)
    answer = await watching.read()
    assert [sighting.id for sighting in answer.sightings] == [first.id]
    watching.cancel()
    await door.send(report("review", id=first.id, revision=2))
    await door.send(report("unknown", id=first.id, revision=3), second)
    again = sightings.WatchSightings(
        pb.WatchSightingsRequest(camera_id=door.camera_id, resume_token=answer.resume_token)
    )
    assert not (await again.read()).sightings
    caught_up = await again.read()
    # many changes, one message, each sighting as it is now
    told = [(sighting.id, sighting.decision) for sighting in caught_up.sightings]
    assert told == [(first.id, "unknown"), (second.id, "unknown")]
    again.cancel()


async def test_a_token_of_another_feed_is_refused_before_anything_is_said(
    sightings: sighting_service_pb2_grpc.SightingServiceStub,
) -> None:
    stale = ResumeToken(feed_id="another", sequence=1).encode()
    with refused(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"):
        await sightings.WatchSightings(pb.WatchSightingsRequest(resume_token=stale)).read()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"):
        await sightings.WatchSightings(pb.WatchSightingsRequest(resume_token="rubbish")).read()


async def test_a_deleted_cameras_sightings_and_pictures_go(
    site: RunningControlPlane,
    sightings: sighting_service_pb2_grpc.SightingServiceStub,
) -> None:
    door, gate = await Reports.open(site), await Reports.open(site)
    await door.send(report("unknown", crop=CROP))
    kept = report("unknown")
    await gate.send(kept)
    await door.delete_camera()
    assert await ids(sightings, pb.ListSightingsRequest()) == [kept.id]


@given(
    starts=st.lists(st.integers(0, 4), max_size=20),
    size=st.integers(1, 7),
    cut=st.integers(0, 4),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_walk_meets_every_sighting_once_newest_first(
    tmp_path: Path, starts: list[int], size: int, cut: int
) -> None:
    database = Database(SqliteEngine(tmp_path / f"{uuid.uuid4()}.db"), SystemClock())
    await database.open()
    try:
        await migrate(database)
        rows = [row(start) for start in starts]
        async with database.write() as tx:
            tx.session.add_all(rows)
        since = START + timedelta(seconds=cut)
        shown = SightingFilter(since=since)
        wanted = sorted(((r.started_at, r.id) for r in rows if r.started_at >= since), reverse=True)
        store, walked, after = SightingStore(database), [], None
        while page := await store.page(shown, after=after, limit=size):
            assert len(page) <= size
            walked += [(sighting.started_at, sighting.id) for sighting in page]
            after = walked[-1]
        assert walked == wanted
    finally:
        await database.close()


def row(start: int) -> SightingRow:
    moment = START + timedelta(seconds=start)
    return SightingRow(
        id=str(uuid.uuid4()), camera_id=str(uuid.uuid4()), session_id=str(uuid.uuid4()), epoch=1,
        track_id=1, revision=1, decision="unknown", score=0, threshold=0.6, started_at=moment,
        ended_at=moment, frames=1, box={"x": 0, "y": 0, "width": 1, "height": 1},
        quality={
            "score": 1, "width_px": 1, "blur": 1, "yaw": 0, "pitch": 0, "brightness": 1,
            "verdict": "good", "reasons": [],
        },
        evidence={"pack_id": "p", "threshold_version": "1", "votes": 1, "latency_ms": 0},
        pack_id="p", dimension=1, embedding=b"", created_at=moment, updated_at=moment,
    )  # fmt: skip
