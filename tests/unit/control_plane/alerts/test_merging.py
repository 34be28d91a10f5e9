"""Two records of one person become one: what alerts know of the one goes to the other."""

import asyncio

import pytest
from sqlalchemy import select

from control_plane.alerts.judge import AlertJudge
from control_plane.alerts.tables import AlertStandingRow
from control_plane.events.tables import EventRow
from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1 import person_service_pb2 as person_pb
from tests.support.alerts import AlertSite
from tests.support.sightings import Reports, report
from tests.support.virtual_clock import VirtualClock


async def merge(site: AlertSite, stays: str, goes: str) -> None:
    await site.persons.MergePersons(
        person_pb.MergePersonsRequest(person_id=stays, other_person_id=goes)
    )


async def watch_list(site: AlertSite, name: str, *people: str) -> str:
    request = pb.CreateWatchListRequest(name=name, person_ids=people)
    return str((await site.alerts.CreateWatchList(request)).data.id)


async def test_lists_rules_alerts_and_cooldowns_go_on_with_the_record_that_stays(
    site: AlertSite, clock: VirtualClock
) -> None:
    ada, bert, cy = [await site.person(name) for name in ("Ada", "Bert", "Cy")]
    both = await watch_list(site, "both", ada, bert, cy)
    berts = await watch_list(site, "only him", bert)
    untouched = await watch_list(site, "others", ada, cy)
    named = await site.rule("person_seen", person_id=bert, cooldown_s=60)
    listed = await site.rule("watch_list_seen", watch_list_id=both, cooldown_s=60)
    door = await Reports.open(site.site)
    await door.send(report("match", ada))
    await site.judged()
    await clock.advance(30)
    await door.send(report("match", bert))
    before = await site.listed()
    told = {(one.rule_id, one.person_id) for one in before}
    assert told == {(listed.id, ada), (named.id, bert), (listed.id, bert)}

    await merge(site, ada, bert)

    lists = (await site.alerts.ListWatchLists(pb.ListWatchListsRequest())).data
    assert {one.id: (set(one.person_ids), one.etag) for one in lists} == {
        both: ({ada, cy}, "v2"),
        berts: ({ada}, "v2"),
        untouched: ({ada, cy}, "v1"),
    }
    rule = (await site.alerts.GetAlertRule(pb.GetAlertRuleRequest(rule_id=named.id))).data
    assert (rule.condition.person_id, rule.etag, rule.enabled) == (ada, "v2", True)
    alerts = await site.listed()
    assert {one.id for one in alerts} == {one.id for one in before}
    assert {one.person_id for one in alerts} == {ada}
    assert {one.person_name for one in alerts} == {"Ada"}
    async with site.database.read() as session:
        standings = list(await session.scalars(select(AlertStandingRow)))
    assert {(one.rule_id, one.subject, one.person_id) for one in standings} == {
        (rule_id, f"{door.camera_id}|{ada}", ada) for rule_id in (named.id, listed.id)
    }
    # of two cooldowns the later one holds: 59 seconds after he was seen, 89 after she was
    await clock.advance(59)
    await door.send(report("match", ada))
    assert len(await site.listed()) == 3
    await clock.advance(1)
    await door.send(report("match", ada))
    again = {one.rule_id for one in (await site.listed())[3:]}
    assert again == {named.id, listed.id}


async def test_a_sighting_that_nobody_judged_yet_is_judged_with_the_record_that_stays(
    site: AlertSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    rule = await site.rule("person_seen", person_id=bert, cooldown_s=0)
    door = await Reports.open(site.site)
    seen = [report("match", bert) for _ in range(3)]

    async def asleep(_: AlertJudge) -> bool:
        return False

    with monkeypatch.context() as patch:
        patch.setattr(AlertJudge, "judge_events", asleep)
        await door.send(*seen)
        await merge(site, ada, bert)
    alerts = await site.listed()
    assert {one.sighting_id for one in alerts} == {one.id for one in seen}
    assert {(one.rule_id, one.person_id) for one in alerts} == {(rule.id, ada)}


async def test_merging_while_others_judge_loses_no_alert_and_doubles_none(site: AlertSite) -> None:
    ada = await site.person("Ada")
    door = await Reports.open(site.site)
    wanted: set[str] = set()
    for _ in range(3):
        bert = await site.person("Bert")
        await site.rule("person_seen", person_id=bert, cooldown_s=0)
        seen = [report("match", bert) for _ in range(4)]
        await door.send(*seen)
        wanted |= {one.id for one in seen}
        await asyncio.gather(merge(site, ada, bert), site.judged(), site.judged())
    alerts = await site.listed()
    assert {one.person_id for one in alerts} == {ada}
    assert {one.sighting_id for one in alerts} == wanted
    assert len({(one.rule_id, one.sighting_id) for one in alerts}) == len(alerts)


async def test_watchers_who_come_late_are_told_of_the_record_that_stays(site: AlertSite) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert Unmistakable")
    await site.rule("person_seen", person_id=bert)
    start = site.alerts.WatchAlerts(pb.WatchAlertsRequest())
    token = (await start.read()).resume_token
    start.cancel()
    door = await Reports.open(site.site)
    await door.send(report("match", bert))
    (alert,) = await site.listed()
    await merge(site, ada, bert)
    watching = site.alerts.WatchAlerts(pb.WatchAlertsRequest(resume_token=token))
    await watching.read()
    told = await watching.read()
    assert [(one.id, one.person_id) for one in told.alerts] == [(alert.id, ada)]
    watching.cancel()

    async with site.database.read() as session:
        payloads = (await session.scalars(select(EventRow.payload))).all()
    # the id of the record that went stands in emptied events alone
    assert not any(bert in str(payload) or "Unmistakable" in str(payload) for payload in payloads)
    await site.persons.DeletePerson(person_pb.DeletePersonRequest(person_id=ada))
    async with site.database.read() as session:
        of_ada = await session.scalars(select(EventRow.payload).where(EventRow.person_id == ada))
        assert {str(payload) for payload in of_ada} == {"{}"}
