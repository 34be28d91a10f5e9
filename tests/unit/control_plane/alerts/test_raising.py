"""What happens raises the alerts that rules ask for, once, with their events."""

import uuid
from typing import Any

import grpc
import pytest

from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
)
from tests.support.alerts import AlertSite
from tests.support.refusals import refused
from tests.support.sightings import Reports, report
from tests.support.virtual_clock import VirtualClock


async def set_zones(site: AlertSite, camera_id: str, zone_config: dict[str, Any]) -> None:
    cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(site.site.channel("operator"))
    request = control_plane_service_pb2.UpdateCameraRequest(camera_id=camera_id)
    request.zone_config.update(zone_config)
    await cameras.UpdateCamera(request)


async def test_a_person_seen_is_told_with_the_name_of_now(site: AlertSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    rule = await site.rule("person_seen", name="Ada comes", severity="critical", person_id=ada)
    door = await Reports.open(site.site)
    sent = report("match", ada)
    await door.send(sent, report("match", bob), report("review", ada), report("unknown"))
    (alert,) = await site.listed()
    assert (alert.rule_id, alert.rule_name, alert.kind) == (rule.id, "Ada comes", "person_seen")
    assert (alert.camera_id, alert.person_id, alert.sighting_id) == (door.camera_id, ada, sent.id)
    assert (alert.person_name, alert.message) == ("Ada", "Ada was seen at door.")
    assert (alert.state, alert.severity) == ("open", "critical")
    assert alert.details.score == pytest.approx(0.9)
    assert alert.details.camera_name == "door"


async def test_an_unknown_who_becomes_known_raises_each_rule_once(site: AlertSite) -> None:
    ada = await site.person("Ada")
    made = await site.alerts.CreateWatchList(
        pb.CreateWatchListRequest(name="guests", person_ids=[ada])
    )
    unknown = await site.rule("unknown_seen", cooldown_s=0)
    listed = await site.rule("watch_list_seen", watch_list_id=made.data.id, cooldown_s=0)
    door = await Reports.open(site.site)
    sighting_id = str(uuid.uuid4())
    await door.send(report("unknown", id=sighting_id))
    await door.send(report("unknown", id=sighting_id, revision=2))
    await door.send(report("match", ada, id=sighting_id, revision=3))
    await door.send(report("match", ada, id=sighting_id, revision=4))
    alerts = {alert.rule_id: alert for alert in await site.listed()}
    assert alerts.keys() == {unknown.id, listed.id}
    assert alerts[listed.id].message == "Ada of the watch list guests was seen at door."


async def test_the_zone_of_the_camera_decides(site: AlertSite) -> None:
    await site.rule("unknown_seen", zone="entry", cooldown_s=0)
    door, gate = await Reports.open(site.site), await Reports.open(site.site)
    # the centre of the reported box is (0.25, 0.4)
    corners = [[0.2, 0.3], [0.3, 0.3], [0.3, 0.5], [0.2, 0.5]]
    zones = [{"name": "entry", "kind": "area", "polygon": corners}]
    await set_zones(site, door.camera_id, {"zones": zones})
    far = [[0.5, 0.5], [0.6, 0.5], [0.6, 0.6]]
    await set_zones(
        site, gate.camera_id, {"zones": [{"name": "entry", "kind": "area", "polygon": far}]}
    )
    await gate.send(report("unknown"))
    await door.send(report("unknown"))
    (alert,) = await site.listed()
    assert (alert.camera_id, alert.zone) == (door.camera_id, "entry")
    assert alert.message == "Somebody unknown was seen at door in entry."


async def test_cooldown_counts_by_camera_and_person(site: AlertSite, clock: VirtualClock) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    made = await site.alerts.CreateWatchList(
        pb.CreateWatchListRequest(name="all", person_ids=[ada, bob])
    )
    await site.rule("watch_list_seen", watch_list_id=made.data.id, cooldown_s=60)
    door, gate = await Reports.open(site.site), await Reports.open(site.site)
    await door.send(report("match", ada))
    await door.send(report("match", ada))
    await door.send(report("match", bob))
    await gate.send(report("match", ada))
    told = [(alert.camera_id, alert.person_id) for alert in await site.listed()]
    assert sorted(told) == sorted(
        [(door.camera_id, ada), (door.camera_id, bob), (gate.camera_id, ada)]
    )
    await clock.advance(59)
    await door.send(report("match", ada))
    assert len(await site.listed()) == 3
    await clock.advance(1)
    await door.send(report("match", ada))
    assert len(await site.listed()) == 4


async def test_a_rule_knows_nothing_of_what_was_before_it(
    site: AlertSite, clock: VirtualClock
) -> None:
    door = await Reports.open(site.site)
    await door.send(report("unknown"))
    await clock.advance(1)
    rule = await site.rule("unknown_seen", cooldown_s=0, enabled=False)
    await door.send(report("unknown"))
    assert await site.listed() == []
    await clock.advance(1)
    await site.alerts.UpdateAlertRule(pb.UpdateAlertRuleRequest(rule_id=rule.id, enabled=True))
    assert await site.listed() == []
    await door.send(report("unknown"))
    assert len(await site.listed()) == 1


async def test_events_tell_of_an_alert_without_its_note(site: AlertSite) -> None:
    ada = await site.person("Ada")
    await site.rule("person_seen", person_id=ada)
    events = event_service_pb2_grpc.EventServiceStub(site.site.channel("viewer"))
    watching = events.WatchEvents(
        event_service_pb2.WatchEventsRequest(types=["alert.raised", "alert.acknowledged"])
    )
    await watching.read()
    await (await Reports.open(site.site)).send(report("match", ada))
    raised = (await watching.read()).event
    assert (raised.type, raised.alert.person_name) == ("alert.raised", "Ada")
    assert raised.alert.message == "Ada was seen at door."
    acknowledged = await site.alerts.AcknowledgeAlert(
        pb.AcknowledgeAlertRequest(alert_id=raised.alert.id, note="only Ada")
    )
    assert acknowledged.data.note == "only Ada"
    told = (await watching.read()).event
    assert (told.type, told.alert.state, told.alert.note) == (
        "alert.acknowledged",
        "acknowledged",
        "",
    )
    watching.cancel()


async def test_the_first_acknowledgement_stays(site: AlertSite, clock: VirtualClock) -> None:
    await site.rule("unknown_seen")
    await (await Reports.open(site.site)).send(report("unknown"))
    (alert,) = await site.listed(state="open")
    first = await site.alerts.AcknowledgeAlert(
        pb.AcknowledgeAlertRequest(alert_id=alert.id, note="on my way")
    )
    await clock.advance(10)
    again = await site.alerts.AcknowledgeAlert(
        pb.AcknowledgeAlertRequest(alert_id=alert.id.upper(), note="me too")
    )
    assert again.data == first.data
    assert (first.data.state, first.data.acknowledged_by) == ("acknowledged", "test-operator")
    assert first.data.HasField("acknowledged_at")
    assert await site.listed(state="open") == []
    with refused(grpc.StatusCode.NOT_FOUND, "ALERT_NOT_FOUND"):
        await site.alerts.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=str(uuid.uuid4())))


async def test_lists_are_filtered_and_paged(site: AlertSite, clock: VirtualClock) -> None:
    ada = await site.person("Ada")
    unknown = await site.rule("unknown_seen", cooldown_s=0)
    await site.rule("person_seen", person_id=ada, cooldown_s=0)
    door, gate = await Reports.open(site.site), await Reports.open(site.site)
    for reports, sent in ((door, report("unknown")), (gate, report("match", ada))):
        await reports.send(sent)
        await site.judged()
        await clock.advance(10)
    await door.send(report("unknown"))
    first, second, third = await site.listed()
    assert await site.listed(rule_id=unknown.id) == [first, third]
    assert await site.listed(camera_id=gate.camera_id) == [second]
    assert await site.listed(person_id=ada) == [second]
    assert await site.listed(since=second.raised_at) == [second, third]
    assert await site.listed(until=second.raised_at) == [first]
    request = pb.ListAlertsRequest(page_size=2)
    page = await site.alerts.ListAlerts(request)
    assert list(page.data) == [third, second]
    request.page_token = page.next_page_token
    last = await site.alerts.ListAlerts(request)
    assert (list(last.data), last.next_page_token) == ([first], "")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        await site.alerts.ListAlerts(pb.ListAlertsRequest(page_token="rubbish"))


async def test_a_watcher_goes_on_where_it_was(site: AlertSite, clock: VirtualClock) -> None:
    await site.rule("unknown_seen", cooldown_s=0)
    door = await Reports.open(site.site)
    watching = site.alerts.WatchAlerts(pb.WatchAlertsRequest(camera_id=door.camera_id))
    start = await watching.read()
    assert not start.alerts
    await door.send(report("unknown"))
    message = await watching.read()
    (alert,) = message.alerts
    watching.cancel()
    await clock.advance(1)
    await door.send(report("unknown"))
    await site.judged()
    await site.alerts.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert.id))
    again = site.alerts.WatchAlerts(pb.WatchAlertsRequest(resume_token=message.resume_token))
    assert not (await again.read()).alerts
    caught_up = await again.read()
    # the events were several, each alert comes once and as it is now
    assert [a.state for a in caught_up.alerts] == ["acknowledged", "open"]
    assert caught_up.alerts[0].id == alert.id
    again.cancel()
