"""Rules and watch lists: made once, changed by etag, refused where they make no sense."""

import uuid
from typing import Any

import grpc
import pytest

from control_plane.alerts import model
from dfip.control_plane.v1 import alert_pb2
from dfip.control_plane.v1 import alert_service_pb2 as pb
from tests.support.alerts import AlertSite
from tests.support.refusals import refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
NIGHT: dict[str, Any] = {
    "days": ["fri"],
    "start": "22:00",
    "end": "06:00",
    "time_zone": "Europe/Berlin",
}


async def test_a_rule_comes_back_as_it_was_made(site: AlertSite) -> None:
    made = await site.rule(
        "unknown_seen", name=" Night ", severity="critical", description="at night",
        window=NIGHT, min_score=0.5, zone="hall", cooldown_s=5,
    )  # fmt: skip
    assert (made.name, made.enabled, made.etag) == ("Night", True, "v1")
    assert made.condition.window == alert_pb2.AlertWindow(**NIGHT)
    assert (made.condition.min_score, made.condition.zone, made.cooldown_s) == (0.5, "hall", 5)
    found = await site.alerts.GetAlertRule(pb.GetAlertRuleRequest(rule_id=made.id.upper()))
    assert found.data == made
    plain = await site.rule("worker_error")
    assert (plain.severity, plain.cooldown_s) == ("warning", 60)
    assert not plain.condition.HasField("window")


async def test_a_repeated_request_makes_one(site: AlertSite) -> None:
    first = await site.rule("worker_error", request_id="once")
    assert await site.rule("worker_error", request_id="once") == first
    with refused(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
        await site.rule("worker_error", request_id="once", severity="info")
    request = pb.CreateWatchListRequest(name="guests", request_id="once")
    made = await site.alerts.CreateWatchList(request)
    assert (await site.alerts.CreateWatchList(request)).data == made.data
    request.name = "others"
    with refused(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
        await site.alerts.CreateWatchList(request)


async def test_an_update_changes_what_it_names(site: AlertSite) -> None:
    made = await site.rule("unknown_seen", name="a", zone="hall")
    request = pb.UpdateAlertRuleRequest(rule_id=made.id, name="b", etag="v1")
    changed = (await site.alerts.UpdateAlertRule(request)).data
    assert (changed.name, changed.condition.zone, changed.etag) == ("b", "hall", "v2")
    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        await site.alerts.UpdateAlertRule(request)
    nothing = pb.UpdateAlertRuleRequest(rule_id=made.id, name="b")
    assert (await site.alerts.UpdateAlertRule(nothing)).data == changed
    whole = pb.UpdateAlertRuleRequest(
        rule_id=made.id, condition={}, cooldown_s=0, enabled=False, severity="info",
        description="d",
    )  # fmt: skip
    changed = (await site.alerts.UpdateAlertRule(whole)).data
    assert (changed.condition, changed.enabled) == (alert_pb2.AlertCondition(), False)
    assert (changed.cooldown_s, changed.severity, changed.description) == (0, "info", "d")
    with refused(INVALID, "CONDITION_INVALID"):
        await site.alerts.UpdateAlertRule(
            pb.UpdateAlertRuleRequest(rule_id=made.id, condition={"over": 1})
        )


async def test_what_makes_no_sense_is_refused(site: AlertSite) -> None:
    nobody = str(uuid.uuid4())
    with refused(INVALID, "CONDITION_INVALID"):
        await site.rule("person_seen")
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.rule("person_seen", person_id=nobody)
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.rule("person_seen", person_id="ada")
    with refused(NOT_FOUND, "WATCH_LIST_NOT_FOUND"):
        await site.rule("watch_list_seen", watch_list_id=nobody)
    with refused(NOT_FOUND, "CAMERA_NOT_FOUND"):
        await site.rule("unknown_seen", camera_ids=[nobody])
    with refused(INVALID, "TIME_ZONE_UNKNOWN"):
        await site.rule("unknown_seen", window=NIGHT | {"time_zone": "Mars/Base"})
    for window in (NIGHT | {"start": "24:00"}, NIGHT | {"end": "6:00"}, NIGHT | {"days": ["x"]}):
        with refused(INVALID, "REQUEST_INVALID"):
            await site.rule("unknown_seen", window=window)
    with refused(INVALID, "REQUEST_INVALID"):
        await site.rule("anything")
    with refused(INVALID, "REQUEST_INVALID"):
        await site.rule("worker_error", name="\x01")
    for rule_id in ("x", nobody, ""):
        with refused(NOT_FOUND, "RULE_NOT_FOUND"):
            await site.alerts.GetAlertRule(pb.GetAlertRuleRequest(rule_id=rule_id))
        with refused(NOT_FOUND, "RULE_NOT_FOUND"):
            await site.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(rule_id=rule_id))
        with refused(NOT_FOUND, "WATCH_LIST_NOT_FOUND"):
            await site.alerts.GetWatchList(pb.GetWatchListRequest(watch_list_id=rule_id))
    with refused(NOT_FOUND, "PERSON_NOT_FOUND"):
        await site.alerts.CreateWatchList(pb.CreateWatchListRequest(name="w", person_ids=[nobody]))


async def test_a_watch_list_is_kept_as_long_as_a_rule_names_it(site: AlertSite) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    made = (
        await site.alerts.CreateWatchList(
            pb.CreateWatchListRequest(name="guests", person_ids=[bob, ada, bob.upper()])
        )
    ).data
    assert sorted(made.person_ids) == sorted([ada, bob])
    rule = await site.rule("watch_list_seen", watch_list_id=made.id)
    changed = await site.alerts.UpdateWatchList(
        pb.UpdateWatchListRequest(
            watch_list_id=made.id, members={"person_ids": [ada]}, etag=made.etag, name="few"
        )
    )
    assert (list(changed.data.person_ids), changed.data.name) == ([ada], "few")
    with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
        await site.alerts.UpdateWatchList(
            pb.UpdateWatchListRequest(watch_list_id=made.id, etag=made.etag)
        )
    emptied = await site.alerts.UpdateWatchList(
        pb.UpdateWatchListRequest(watch_list_id=made.id, members={})
    )
    assert list(emptied.data.person_ids) == []
    delete = pb.DeleteWatchListRequest(watch_list_id=made.id)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "WATCH_LIST_IN_USE"):
        await site.alerts.DeleteWatchList(delete)
    await site.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(rule_id=rule.id))
    await site.alerts.DeleteWatchList(delete)
    with refused(NOT_FOUND, "WATCH_LIST_NOT_FOUND"):
        await site.alerts.DeleteWatchList(delete)


async def test_lists_go_by_name_in_pages(site: AlertSite) -> None:
    for name in ("beta", "Alpha", "gamma"):
        await site.rule("worker_error", name=name)
        await site.alerts.CreateWatchList(pb.CreateWatchListRequest(name=name))
    for listing, request in (
        (site.alerts.ListAlertRules, pb.ListAlertRulesRequest(page_size=2)),
        (site.alerts.ListWatchLists, pb.ListWatchListsRequest(page_size=2)),
    ):
        page = await listing(request)
        assert [found.name for found in page.data] == ["Alpha", "beta"]
        request.page_token = page.next_page_token
        last = await listing(request)
        assert ([found.name for found in last.data], last.next_page_token) == (["gamma"], "")
        request.page_token = "rubbish"
        with refused(INVALID, "PAGE_TOKEN_INVALID"):
            await listing(request)


async def test_there_are_only_so_many(site: AlertSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MOST_RULES", 1)
    monkeypatch.setattr(model, "MOST_WATCH_LISTS", 1)
    await site.rule("worker_error")
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_RULES"):
        await site.rule("worker_error")
    await site.alerts.CreateWatchList(pb.CreateWatchListRequest(name="a"))
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCH_LISTS"):
        await site.alerts.CreateWatchList(pb.CreateWatchListRequest(name="b"))
