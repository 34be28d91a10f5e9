"""What goes with a person, with a camera, and with time."""

from pathlib import Path

from sqlalchemy import func, select

from control_plane.alerts.tables import (
    AlertRow,
    AlertRuleRow,
    AlertStandingRow,
    WatchListMemberRow,
)
from control_plane.events.tables import EventRow
from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1 import person_service_pb2 as person_pb
from tests.support.alerts import AlertSite
from tests.support.sightings import Reports, report
from tests.support.virtual_clock import VirtualClock

NAME = "Adelheid Unmistakable"
NOTE = "that was certainly her"


async def rows(site: AlertSite, table: type) -> int:
    async with site.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_an_erasure_takes_every_trace_and_says_so(site: AlertSite, tmp_path: Path) -> None:
    ada, bob = await site.person(NAME), await site.person("Bob")
    guests = await site.alerts.CreateWatchList(
        pb.CreateWatchListRequest(name="guests", person_ids=[ada, bob])
    )
    await site.alerts.CreateWatchList(pb.CreateWatchListRequest(name="staff", person_ids=[ada]))
    await site.rule("person_seen", name=f"{NAME} at the door", person_id=ada, cooldown_s=0)
    kept = await site.rule("watch_list_seen", watch_list_id=guests.data.id, cooldown_s=0)
    await site.rule("unknown_seen", cooldown_s=0)
    door = await Reports.open(site.site)
    changing = report("unknown")
    of_bob = report("match", bob)
    await door.send(report("match", ada), of_bob, changing)
    await site.judged()
    # the unknown one turns out to be her
    await door.send(report("match", ada, id=changing.id, revision=2))
    for alert in await site.listed():
        await site.alerts.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert.id, note=NOTE))
    assert await rows(site, AlertRow) == 6

    erased = await site.persons.DeletePerson(person_pb.DeletePersonRequest(person_id=ada))

    receipt = erased.data
    assert (receipt.alerts, receipt.alert_rules, receipt.watch_lists) == (5, 1, 2)
    (left,) = await site.listed()
    assert (left.sighting_id, left.rule_id) == (of_bob.id, kept.id)
    listed = await site.alerts.ListWatchLists(pb.ListWatchListsRequest())
    assert [list(found.person_ids) for found in listed.data] == [[bob], []]
    async with site.database.read() as session:
        told = await session.scalars(select(EventRow.payload).where(EventRow.person_id == ada))
        assert {str(payload) for payload in told} == {"{}"}
        people = await session.scalars(
            select(AlertStandingRow.person_id).where(AlertStandingRow.person_id.is_not(None))
        )
        assert set(people) == {bob}
    needles = (NAME.encode(), ada.encode())
    files = [path for path in (tmp_path / "data").glob("*.db*") if path.is_file()]
    for path in files:  # on SQLite; the id stays in the audit, the receipt and emptied events
        assert needles[0] not in path.read_bytes()


async def test_a_sighting_of_an_erased_person_raises_nothing_more(site: AlertSite) -> None:
    ada = await site.person(NAME)
    await site.rule("unknown_seen", cooldown_s=0)
    door = await Reports.open(site.site)
    seen = report("match", ada)
    await door.send(seen)
    await site.persons.DeletePerson(person_pb.DeletePersonRequest(person_id=ada))
    await door.send(report("unknown", id=seen.id, revision=2))
    assert await site.listed() == []


async def test_a_deleted_camera_takes_its_alerts_and_leaves_rules_no_wider(
    site: AlertSite,
) -> None:
    door, gate = await Reports.open(site.site), await Reports.open(site.site)
    both = await site.rule("unknown_seen", camera_ids=[door.camera_id, gate.camera_id])
    alone = await site.rule("unknown_seen", camera_ids=[door.camera_id])
    await door.send(report("unknown"))
    await gate.send(report("unknown"))
    assert len(await site.listed()) == 3
    await door.delete_camera()
    (left,) = await site.listed()
    assert (left.camera_id, left.rule_id) == (gate.camera_id, both.id)
    shown = (await site.alerts.GetAlertRule(pb.GetAlertRuleRequest(rule_id=both.id))).data
    assert list(shown.condition.camera_ids) == [gate.camera_id]
    assert (shown.enabled, shown.etag) == (True, "v2")
    shown = (await site.alerts.GetAlertRule(pb.GetAlertRuleRequest(rule_id=alone.id))).data
    assert not shown.enabled
    await gate.send(report("unknown"))
    assert {alert.rule_id for alert in await site.listed()} == {both.id}
    # the id that leads nowhere does not stand in the way of another change
    await site.alerts.UpdateAlertRule(pb.UpdateAlertRuleRequest(rule_id=alone.id, name="old"))


async def test_alerts_go_with_time_and_with_them_what_was_remembered(
    site: AlertSite, clock: VirtualClock
) -> None:
    await site.rule("unknown_seen", cooldown_s=0)
    gone = await site.rule("unknown_seen", cooldown_s=0)
    door = await Reports.open(site.site)
    await door.send(report("unknown"))
    assert len(await site.listed()) == 2
    await site.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(rule_id=gone.id))
    retention = site.site.control_plane.parts.retention
    await retention.once()
    assert await rows(site, AlertRow) == 2
    assert await rows(site, AlertStandingRow) == 1
    await clock.leap(91 * 86400)
    await retention.once()
    assert await rows(site, AlertRow) == 0
    assert await rows(site, AlertStandingRow) == 0
    assert await rows(site, AlertRuleRow) == 1
    assert await rows(site, WatchListMemberRow) == 0
