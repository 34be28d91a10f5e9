"""What workers report is in the database exactly once, whatever comes twice, late or never."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select

from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.tables import BlobRemovalRow
from control_plane.database import Transaction
from control_plane.sightings.intake import SightingIntake
from dfip.control_plane.v1 import (
    event_pb2,
    event_service_pb2,
    event_service_pb2_grpc,
    person_service_pb2,
    person_service_pb2_grpc,
    sighting_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
)
from dfip.control_plane.v1.worker_gateway_service_pb2 import SightingBatch
from service_runtime.errors import FailedPrecondition
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.refusals import refused
from tests.support.sightings import CONTEXT, CROP, START, Reports, report, stamp


async def sightings_of(site: RunningControlPlane) -> list[sighting_pb2.Sighting]:
    stub = sighting_service_pb2_grpc.SightingServiceStub(site.channel("viewer"))
    answer = await stub.ListSightings(sighting_service_pb2.ListSightingsRequest(page_size=1000))
    return list(answer.data)


def persons_of(site: RunningControlPlane) -> Any:
    return person_service_pb2_grpc.PersonServiceStub(site.channel("admin"))


async def new_person(site: RunningControlPlane, name: str) -> str:
    request = person_service_pb2.CreatePersonRequest(name=name)
    return str((await persons_of(site).CreatePerson(request)).data.id)


def pictures(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "data" / "blobs").rglob("*"))


async def nothing_queued(site: RunningControlPlane) -> None:
    """Wait until the removal task has nothing left to do."""
    while True:
        async with site.control_plane.parts.database.read() as session:
            if not await session.scalar(select(func.count()).select_from(BlobRemovalRow)):
                return
        await asyncio.sleep(0)


def intake_of(site: RunningControlPlane) -> SightingIntake:
    """Return an intake of the site's own, to call it as no stream would."""
    data = site.settings.data_dir
    vault = site.control_plane.parts.vault
    return SightingIntake(site.control_plane.parts.database, BlobDirectory(data / "blobs"), vault)


async def test_a_report_becomes_a_sighting_with_its_evidence(site: RunningControlPlane) -> None:
    ada, bob = await new_person(site, "Ada"), await new_person(site, "Bob")
    reports = await Reports.open(site)
    sent = report("match", ada, also=bob)
    await reports.send(sent)
    (sighting,) = await sightings_of(site)
    assert (sighting.id, sighting.camera_id) == (sent.id, reports.camera_id)
    assert (sighting.decision, sighting.person_id, sighting.person_name) == ("match", ada, "Ada")
    for field in ("score", "threshold", "margin", "started_at", "ended_at", "box", "quality"):
        assert getattr(sighting, field) == getattr(sent, field), field
    assert (sighting.track_id, sighting.frames) == (sent.track_id, sent.frames)
    names = [candidate.person_name for candidate in sighting.evidence.candidates]
    assert names == ["Ada", "Bob"]
    assert sighting.evidence.threshold_version == "1"
    assert sighting.evidence.votes == 3
    person = await persons_of(site).GetPerson(person_service_pb2.GetPersonRequest(person_id=ada))
    assert person.data.last_seen_at == sent.ended_at


async def test_a_margin_that_was_left_out_stays_out(site: RunningControlPlane) -> None:
    reports = await Reports.open(site)
    await reports.send(report("unknown"))
    (sighting,) = await sightings_of(site)
    assert not sighting.HasField("margin")
    assert (sighting.person_id, sighting.person_name) == ("", "")


async def test_a_batch_that_comes_again_changes_nothing(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    reports = await Reports.open(site)
    await reports.send(report("unknown", crop=CROP), report("unknown", crop=CROP))
    await reports.connect(reports.session_id)  # the acknowledgement was lost
    await reports.send_as(1, report("unknown", crop=CROP))
    assert len(await sightings_of(site)) == 2
    assert pictures(tmp_path) == 2


async def test_another_session_sends_what_the_last_one_could_not(
    site: RunningControlPlane,
) -> None:
    reports = await Reports.open(site)
    sent = report("unknown", revision=4)
    await reports.send(sent)
    await reports.next_epoch()
    await reports.send(sent)
    await reports.send(report("unknown"))
    assert len(await sightings_of(site)) == 2


async def test_only_a_higher_revision_changes_a_sighting(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    ada = await new_person(site, "Ada")
    reports = await Reports.open(site)
    first = report("unknown", revision=2, crop=CROP, start=10, end=11)
    await reports.send(first)
    await reports.send(report("match", ada, id=first.id, revision=2, crop=CROP + b"2"))
    await reports.send(report("match", ada, id=first.id, revision=1, crop=CROP + b"1"))
    (sighting,) = await sightings_of(site)
    assert sighting.decision == "unknown"
    assert pictures(tmp_path) == 1
    later = report("match", ada, id=first.id, revision=3, crop=CROP + b"3", start=12, end=20)
    await reports.send(later)
    (sighting,) = await sightings_of(site)
    assert (sighting.decision, sighting.person_id) == ("match", ada)
    assert (sighting.started_at, sighting.ended_at) == (stamp(10), stamp(20))
    stub = sighting_service_pb2_grpc.SightingServiceStub(site.channel("viewer"))
    request = sighting_service_pb2.GetSightingImageRequest(sighting_id=first.id)
    assert (await stub.GetSightingImage(request)).data == CROP + b"3"
    await nothing_queued(site)
    assert pictures(tmp_path) == 1


async def test_both_pictures_of_a_sighting_are_of_one_shot(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    reports = await Reports.open(site)
    first = report("unknown", crop=CROP, context=CONTEXT)
    await reports.send(first)
    stub = sighting_service_pb2_grpc.SightingServiceStub(site.channel("viewer"))
    face = sighting_service_pb2.GetSightingImageRequest(sighting_id=first.id)
    context = sighting_service_pb2.GetSightingContextRequest(sighting_id=first.id)
    assert (await stub.GetSightingImage(face)).data == CROP
    assert (await stub.GetSightingContext(context)).data == CONTEXT
    assert pictures(tmp_path) == 2
    await reports.send(report("unknown", id=first.id, revision=2))  # nothing better was seen
    assert (await stub.GetSightingContext(context)).data == CONTEXT
    later = report("unknown", id=first.id, revision=3, crop=CROP + b"2", context=CONTEXT + b"2")
    await reports.send(later)
    assert (await stub.GetSightingContext(context)).data == CONTEXT + b"2"
    await nothing_queued(site)
    assert pictures(tmp_path) == 2
    await reports.send(report("unknown", id=first.id, revision=4, crop=CROP, context=b"<svg>"))
    assert (await stub.GetSightingImage(face)).data == CROP
    with refused(grpc.StatusCode.NOT_FOUND, "SIGHTING_HAS_NO_IMAGE"):
        await stub.GetSightingContext(context)
    await nothing_queued(site)
    assert pictures(tmp_path) == 1


async def test_one_batch_may_tell_of_one_sighting_twice(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    ada = await new_person(site, "Ada")
    reports = await Reports.open(site)
    first = report("unknown", crop=CROP)
    await reports.send(first, report("match", ada, id=first.id, revision=2, crop=CROP + b"2"))
    (sighting,) = await sightings_of(site)
    assert sighting.decision == "match"
    assert pictures(tmp_path) == 1


async def test_somebody_erased_meanwhile_does_not_come_back(site: RunningControlPlane) -> None:
    ada, bob = await new_person(site, "Ada"), await new_person(site, "Bob")
    reports = await Reports.open(site)
    known = report("match", ada, also=bob)
    await reports.send(known)
    request = person_service_pb2.DeletePersonRequest(person_id=ada)
    await persons_of(site).DeletePerson(request)
    late = report("match", ada, also=bob)  # decided before the index heard of the erasure
    await reports.send(report("match", ada, also=bob, id=known.id, revision=2), late)
    (sighting,) = await sightings_of(site)
    assert sighting.id == late.id
    assert (sighting.decision, sighting.person_id) == ("unknown", "")
    assert [candidate.person_id for candidate in sighting.evidence.candidates] == [bob]
    assert sighting.score == sighting.evidence.candidates[0].score
    assert not sighting.HasField("margin")


async def test_another_cameras_sighting_is_left_alone(site: RunningControlPlane) -> None:
    mine, other = await Reports.open(site), await Reports.open(site)
    first = report("unknown")
    await mine.send(first)
    await other.send(report("review", id=first.id, revision=9), report("unknown"))
    kept = {sighting.id: sighting for sighting in await sightings_of(site)}
    assert len(kept) == 2
    assert kept[first.id].decision == "unknown"
    assert kept[first.id].camera_id == mine.camera_id


async def test_another_cameras_session_is_refused(site: RunningControlPlane) -> None:
    mine, other = await Reports.open(site), await Reports.open(site)
    await mine.send(report("unknown"))
    await other.connect(mine.session_id)
    with refused(grpc.StatusCode.PERMISSION_DENIED, "SESSION_OF_ANOTHER_CAMERA"):
        await other.send_as(2, report("unknown"))
    assert len(await sightings_of(site)) == 1


async def test_a_worker_of_an_older_epoch_is_not_believed(site: RunningControlPlane) -> None:
    reports = await Reports.open(site)
    await reports.send(report("unknown"))
    old = Reports(site=site, camera_id=reports.camera_id, token=reports.token)
    await reports.next_epoch()
    await old.connect(str(uuid.uuid4()))
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await old.send(report("unknown"))
    assert len(await sightings_of(site)) == 1


async def test_an_epoch_that_ends_while_a_batch_is_on_its_way_is_not_believed(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    reports = await Reports.open(site)
    session_id = reports.session_id
    await reports.next_epoch()
    batch = SightingBatch(sequence=1, sightings=[report("unknown", crop=CROP)])
    with pytest.raises(FailedPrecondition, match="Another worker"):
        await intake_of(site).record(reports.camera_id, 1, session_id, batch)
    assert await sightings_of(site) == []
    assert pictures(tmp_path) == 0


async def test_one_batch_on_two_streams_at_once_counts_once(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    reports = await Reports.open(site)
    intake = intake_of(site)
    batches = [
        SightingBatch(sequence=1, sightings=[report("unknown", crop=CROP)]) for _ in range(3)
    ]
    await asyncio.gather(
        *(intake.record(reports.camera_id, 1, reports.session_id, batch) for batch in batches)
    )
    assert len(await sightings_of(site)) == 1
    assert pictures(tmp_path) == 1


async def test_what_a_worker_says_of_the_future_is_taken_as_now(
    site: RunningControlPlane,
) -> None:
    """Lists are newest first: a lie about the time must not stand on top for ever."""
    reports = await Reports.open(site)
    year_9999 = 253_402_300_000 - START.timestamp()
    before = datetime.now(UTC)
    await reports.send(report("unknown", start=year_9999))
    first = report("unknown")
    await reports.send(first)
    first.revision = 2
    first.ended_at.CopyFrom(stamp(year_9999))
    await reports.send(first)
    after = datetime.now(UTC)
    for sighting in await sightings_of(site):
        assert before <= sighting.ended_at.ToDatetime(UTC) <= after
        assert sighting.started_at.ToDatetime(UTC) <= after


@pytest.mark.parametrize("sequence", [2**63, 2**64 - 1])
async def test_a_batch_number_that_cannot_be_kept_is_refused(
    site: RunningControlPlane, tmp_path: Path, sequence: int
) -> None:
    reports = await Reports.open(site)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
        await reports.send_as(sequence, report("unknown", crop=CROP))
    assert pictures(tmp_path) == 0


async def test_a_crop_that_is_no_jpeg_is_not_kept(
    site: RunningControlPlane, tmp_path: Path
) -> None:
    reports = await Reports.open(site)
    sent = report("unknown", crop=b"<script>")
    await reports.send(sent)
    assert pictures(tmp_path) == 0
    stub = sighting_service_pb2_grpc.SightingServiceStub(site.channel("viewer"))
    with refused(grpc.StatusCode.NOT_FOUND, "SIGHTING_HAS_NO_IMAGE"):
        request = sighting_service_pb2.GetSightingImageRequest(sighting_id=sent.id)
        await stub.GetSightingImage(request)


@pytest.mark.parametrize("spoilt", ["length", "values", "nameless"])
async def test_a_malformed_report_is_refused_and_leaves_nothing(
    site: RunningControlPlane, tmp_path: Path, spoilt: str
) -> None:
    reports = await Reports.open(site)
    good, bad = report("unknown", crop=CROP), report("unknown", crop=CROP)
    reason = "EMBEDDING_INVALID"
    if spoilt == "length":
        bad.embedding.dimension = 7
    elif spoilt == "values":
        bad.embedding.vectors = b"\xff" * len(bad.embedding.vectors)
    else:
        bad.decision, reason = "match", "SIGHTING_WITHOUT_PERSON"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, reason):
        await reports.send(good, bad)
    assert await sightings_of(site) == []
    assert pictures(tmp_path) == 0


async def test_a_rolled_back_batch_leaves_no_picture_and_can_come_again(
    site: RunningControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = await Reports.open(site)

    async def disk_full(*_: object, **__: object) -> int:
        raise OSError(28, "no space left")

    sent = report("unknown", crop=CROP)
    with monkeypatch.context() as full:
        full.setattr(Transaction, "append_event", disk_full)
        with pytest.raises(grpc.aio.AioRpcError):
            await reports.send(sent)
    assert await sightings_of(site) == []
    assert pictures(tmp_path) == 0
    await reports.connect(reports.session_id)
    await reports.send_as(1, sent)
    assert [sighting.id for sighting in await sightings_of(site)] == [sent.id]


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path) as site:
        reports = await Reports.open(site)
        await reports.send(report("unknown", crop=CROP))
        session_id, token, camera_id = reports.session_id, reports.token, reports.camera_id
    async with running_control_plane(tmp_path, sighting_days=36500) as site:
        again = Reports(site=site, camera_id=camera_id, token=token)
        await again.connect(session_id)
        await again.send_as(1, report("unknown"))
        await again.send_as(2, report("unknown"))
        assert len(await sightings_of(site)) == 2


async def test_events_carry_neither_names_nor_embeddings_nor_pictures(
    site: RunningControlPlane,
) -> None:
    ada = await new_person(site, "Adelheid Unmistakable")
    events = event_service_pb2_grpc.EventServiceStub(site.channel("viewer"))
    watching = events.WatchEvents(
        event_service_pb2.WatchEventsRequest(types=["sighting.created", "sighting.updated"])
    )
    assert not (await watching.read()).HasField("event")  # from here on it sees all
    reports = await Reports.open(site)
    sent = report("match", ada, crop=CROP)
    await reports.send(sent)
    await reports.send(report("match", ada, id=sent.id, revision=2))
    seen: list[event_pb2.Event] = []
    while len(seen) < 2:
        answer = await watching.read()
        if answer.HasField("event"):
            seen.append(answer.event)
    watching.cancel()
    assert [event.type for event in seen] == ["sighting.created", "sighting.updated"]
    assert {event.sighting.id for event in seen} == {sent.id}
    # names are filled in when an event is read, not kept with it
    assert {event.sighting.person_name for event in seen} == {"Adelheid Unmistakable"}
    for event in seen:
        told = event.SerializeToString()
        assert CROP not in told
        assert sent.embedding.vectors not in told
