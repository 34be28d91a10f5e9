"""A person's word on a sighting: the rule as a table, and what it does to the site."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from control_plane.sightings.labels import LabelPlan, plan_label
from control_plane.sightings.model import CONFIRMED, MATCH, MOVED, REJECTED, UNKNOWN
from dfip.control_plane.v1 import person_service_pb2
from dfip.control_plane.v1 import sighting_service_pb2 as pb
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from service_runtime.errors import FailedPrecondition, InvalidArgument
from tests.support.fake_index import vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.refusals import refused
from tests.support.sightings import Reports, report

ADA, BOB, CY = "ada", "bob", "cy"


@pytest.mark.parametrize(
    ("said", "before", "becomes"),
    [
        (("confirm", None, ADA), {}, (MATCH, ADA, {ADA: CONFIRMED})),
        (("confirm", None, ADA), {ADA: MOVED}, (MATCH, ADA, {ADA: MOVED})),
        (("confirm", None, ADA), {BOB: REJECTED}, (MATCH, ADA, {ADA: CONFIRMED, BOB: REJECTED})),
        (("reject", None, ADA), {}, (UNKNOWN, None, {ADA: REJECTED})),
        (("reject", None, ADA), {ADA: CONFIRMED}, (UNKNOWN, None, {ADA: REJECTED})),
        (("reject", None, None), {ADA: REJECTED}, (UNKNOWN, None, {ADA: REJECTED})),
        (("move", BOB, ADA), {}, (MATCH, BOB, {ADA: REJECTED, BOB: MOVED})),
        (("move", BOB, None), {}, (MATCH, BOB, {BOB: MOVED})),
        (("move", ADA, ADA), {}, (MATCH, ADA, {ADA: CONFIRMED})),
        (
            ("move", ADA, BOB),
            {ADA: REJECTED, BOB: MOVED},
            (MATCH, ADA, {BOB: REJECTED, ADA: MOVED}),
        ),
    ],
)
def test_what_a_label_makes_of_a_sighting(
    said: tuple[str, str | None, str | None],
    before: dict[str, str],
    becomes: tuple[str, str | None, dict[str, str]],
) -> None:
    label, to, named = said
    decision, person, after = becomes
    plan = plan_label(label, person_id=to, named=named, verdicts=before)
    assert plan == LabelPlan(decision=decision, person_id=person, verdicts=after)


@pytest.mark.parametrize("label", ["confirm", "reject"])
def test_of_nobody_there_is_nothing_to_say(label: str) -> None:
    with pytest.raises(FailedPrecondition, match="names nobody"):
        plan_label(label, person_id=None, named=None, verdicts={})


@pytest.mark.parametrize(("label", "to"), [("move", None), ("confirm", ADA), ("reject", ADA)])
def test_a_person_is_named_to_move_and_only_then(label: str, to: str | None) -> None:
    with pytest.raises(InvalidArgument, match="person_id"):
        plan_label(label, person_id=to, named=ADA, verdicts={})


STEPS = st.lists(
    st.tuples(st.sampled_from(["confirm", "reject", "move"]), st.sampled_from([ADA, BOB, CY])),
    max_size=12,
)


@given(first=st.sampled_from([None, ADA, BOB]), steps=STEPS)
def test_at_most_one_person_is_not_rejected_and_that_one_is_named(
    first: str | None, steps: list[tuple[str, str]]
) -> None:
    named, verdicts = first, dict[str, str]()
    for label, to in steps:
        person_id = to if label == "move" else None
        try:
            plan = plan_label(label, person_id=person_id, named=named, verdicts=verdicts)
        except FailedPrecondition:
            assert named is None
            continue
        assert plan == plan_label(
            label, person_id=person_id, named=plan.person_id, verdicts=plan.verdicts
        )
        named, verdicts = plan.person_id, dict(plan.verdicts)
        said_to_be = [one for one, verdict in verdicts.items() if verdict != REJECTED]
        assert said_to_be == ([named] if named is not None else [])
        assert plan.decision == (MATCH if named is not None else UNKNOWN)


def test_labels_without_end_are_refused() -> None:
    verdicts = {str(number): REJECTED for number in range(20)}
    with pytest.raises(FailedPrecondition, match="20 different people"):
        plan_label("move", person_id=ADA, named=None, verdicts=verdicts)


@pytest_asyncio.fixture
async def site(tmp_path: Path, database_engine: str) -> AsyncIterator[PeopleSite]:
    del database_engine  # chosen, for the control plane
    async with running_people_site(tmp_path) as site:
        yield site


def stub(site: PeopleSite, role: str = "operator") -> Any:
    return SightingServiceStub(site.site.channel(role))


async def label(site: PeopleSite, sighting_id: str, word: str, person_id: str = "") -> Any:
    request = pb.LabelSightingRequest(sighting_id=sighting_id, label=word, person_id=person_id)
    return (await stub(site).LabelSighting(request)).data


async def last_seen(site: PeopleSite, person_id: str) -> Any:
    request = person_service_pb2.GetPersonRequest(person_id=person_id)
    return (await site.persons.GetPerson(request)).data.last_seen_at.ToJsonString()


async def test_a_word_outweighs_the_worker_before_and_after(site: PeopleSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    reports = await Reports.open(site.site)
    seen = report("match", ada.id, end=5)
    await reports.send(seen)
    assert await last_seen(site, ada.id) == "2026-01-01T00:00:05Z"

    moved = await label(site, seen.id, "move", bob.id)
    assert (moved.decision, moved.person_id, moved.person_name) == ("match", bob.id, "Bob")
    assert (moved.label.verdict, moved.label.labelled_by) == ("moved", "test-operator")
    assert await last_seen(site, bob.id) == "2026-01-01T00:00:05Z"
    assert await last_seen(site, ada.id) != "2026-01-01T00:00:05Z"

    await reports.send(report("match", ada.id, id=seen.id, revision=2, end=9))
    found = await stub(site).GetSighting(pb.GetSightingRequest(sighting_id=seen.id))
    assert (found.data.person_id, found.data.ended_at.seconds % 60) == (bob.id, 9)
    assert [one.person_id for one in found.data.evidence.candidates] == [ada.id]
    assert await last_seen(site, bob.id) == "2026-01-01T00:00:09Z"

    rejected = await label(site, seen.id, "reject")
    assert (rejected.decision, rejected.person_id) == ("unknown", "")
    assert rejected.label.verdict == "rejected"
    assert await label(site, seen.id, "reject") == rejected
    listed = await stub(site).ListSightings(pb.ListSightingsRequest(person_id=bob.id))
    assert not listed.data


async def test_a_label_is_told_to_watchers_once(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    reports = await Reports.open(site.site)
    seen = report("review", ada.id)
    await reports.send(seen)
    watching = stub(site, "viewer").WatchSightings(pb.WatchSightingsRequest())
    await watching.read()
    await label(site, seen.id, "confirm")
    message = await watching.read()
    assert [(one.id, one.decision) for one in message.sightings] == [(seen.id, "match")]
    await label(site, seen.id, "confirm")  # says nothing new
    other = report("unknown")
    await reports.send(other)
    message = await watching.read()
    assert [one.id for one in message.sightings] == [other.id]
    watching.cancel()


async def test_what_cannot_be_labelled_is_refused(site: PeopleSite) -> None:
    reports = await Reports.open(site.site)
    seen = report("unknown")
    await reports.send(seen)
    with refused(grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND"):
        await label(site, seen.id, "move", str(uuid.uuid4()))
    with refused(grpc.StatusCode.NOT_FOUND, "SIGHTING_NOT_FOUND"):
        await label(site, str(uuid.uuid4()), "confirm")
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "SIGHTING_NAMES_NOBODY"):
        await label(site, seen.id, "confirm")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        await stub(site, "viewer").LabelSighting(
            pb.LabelSightingRequest(sighting_id=seen.id, label="reject")
        )


async def test_labels_and_reports_at_once_leave_the_word_in_force(site: PeopleSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    reports = await Reports.open(site.site)
    seen = report("match", ada.id)
    await reports.send(seen)

    async def report_on() -> None:
        for revision in range(2, 12):
            await reports.send(report("match", ada.id, id=seen.id, revision=revision))

    await asyncio.gather(report_on(), label(site, seen.id, "move", bob.id))
    found = await stub(site).GetSighting(pb.GetSightingRequest(sighting_id=seen.id))
    assert found.data.person_id == bob.id


async def test_the_face_of_a_sighting_is_enrolled_and_the_sighting_labelled(
    site: PeopleSite,
) -> None:
    ada = await site.person("Ada")
    reports = await Reports.open(site.site)
    seen = report("unknown", face=vector(0, 1), crop=b"\xff\xd8\xff crop")
    await reports.send(seen)
    request = person_service_pb2.AddFaceFromSightingRequest(person_id=ada.id, sighting_id=seen.id)
    face = (await site.persons.AddFaceFromSighting(request)).data
    assert (face.person_id, face.quality.verdict) == (ada.id, "good")
    found = await stub(site).GetSighting(pb.GetSightingRequest(sighting_id=seen.id))
    assert (found.data.person_id, found.data.decision) == (ada.id, "match")
    await site.index.caught_up(lambda gallery: face.id in gallery)
    with refused(grpc.StatusCode.ALREADY_EXISTS, "FACE_ALREADY_ENROLLED"):
        await site.persons.AddFaceFromSighting(request)
    bob = await site.person("Bob")
    with refused(grpc.StatusCode.ALREADY_EXISTS, "FACE_IS_SOMEBODY_ELSE"):
        await site.persons.AddFaceFromSighting(
            person_service_pb2.AddFaceFromSightingRequest(person_id=bob.id, sighting_id=seen.id)
        )
    found = await stub(site).GetSighting(pb.GetSightingRequest(sighting_id=seen.id))
    assert found.data.person_id == ada.id  # refused as a whole


async def test_a_poor_shot_is_enrolled_only_by_force(site: PeopleSite) -> None:
    ada = await site.person("Ada")
    reports = await Reports.open(site.site)
    seen = report("unknown", verdict="poor")
    await reports.send(seen)
    request = person_service_pb2.AddFaceFromSightingRequest(person_id=ada.id, sighting_id=seen.id)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "FACE_QUALITY_POOR"):
        await site.persons.AddFaceFromSighting(request)
    request.force = True
    assert (await site.persons.AddFaceFromSighting(request)).data.person_id == ada.id
