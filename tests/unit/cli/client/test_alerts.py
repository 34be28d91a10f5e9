"""Commands about alerts against a real control plane: what is asked, printed and refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.client.access import Access
from cli.client.alerts import acknowledge_alert, list_alerts, watch_alerts
from cli.client.rules import (
    WantedCondition,
    add_rule,
    list_rules,
    remove_rule,
    set_rule_enabled,
)
from cli.client.watch_lists import (
    change_members,
    create_watch_list,
    list_watch_lists,
    remove_watch_list,
)
from cli.failures import CommandFailed, ExitCode
from cli.output import Output
from cli.talk import Talk
from tests.support.alerts import AlertSite
from tests.support.control_plane import running_control_plane
from tests.support.sightings import Reports, report

PIPED, JSON = Output(), Output(as_json=True)
Captured = pytest.CaptureFixture[str]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[AlertSite]:
    async with running_control_plane(tmp_path) as running:
        yield AlertSite.of(running)


@pytest.fixture
def access(site: AlertSite) -> Access:
    running = site.site
    return Access(server="http://test", target=running.target, token=running.token("admin"))


async def make(access: Access, kind: str, name: str, output: Output, **wanted: object) -> None:
    await add_rule(
        access, output, kind=kind, name=name, description="", severity="warning", cooldown_s=0,
        enabled=True, wanted=WantedCondition(**wanted),  # type: ignore[arg-type]  # by their names
    )  # fmt: skip


async def test_alerts_are_listed_watched_and_acknowledged(
    site: AlertSite, access: Access, capsys: Captured
) -> None:
    ada = await site.person("Ada")
    await make(access, "person_seen", "Ada comes", PIPED, person="Ada")
    door = await Reports.open(site.site)
    await door.send(report("match", ada))
    await site.judged()
    capsys.readouterr()

    await list_alerts(
        access, PIPED, rule="Ada comes", camera="door", person="Ada", state="open", since_s=None,
        limit=5,
    )  # fmt: skip
    fields = capsys.readouterr().out.rstrip("\n").split("\t")
    assert fields[2:6] == ["warning", "open", "person_seen", "Ada comes"]
    assert fields[6:10] == [door.camera_id, ada, fields[8], "Ada was seen at door."]
    await acknowledge_alert(access, JSON, alert_id=fields[0], note="hello")
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["note"]) == ("acknowledged", "hello")
    await list_alerts(
        access, PIPED, rule="", camera="", person="", state="open", since_s=3600, limit=5
    )
    assert capsys.readouterr().out == ""


async def test_a_watch_prints_what_comes(site: AlertSite, access: Access, capsys: Captured) -> None:
    await make(access, "unknown_seen", "strangers", PIPED)
    door = await Reports.open(site.site)
    capsys.readouterr()

    watching = asyncio.create_task(
        watch_alerts(access, PIPED, Talk(), rule="strangers", camera="door", limit=1)
    )
    # it may not follow yet: something comes until it has seen something
    while not watching.done():
        await door.send(report("unknown"))
    await watching
    assert "Somebody unknown was seen at door." in capsys.readouterr().out


async def test_rules_are_made_by_names_switched_and_removed(
    site: AlertSite, access: Access, capsys: Captured
) -> None:
    await site.person("Ada")
    await create_watch_list(access, PIPED, name="guests", description="", people=["Ada"])
    door = await Reports.open(site.site)
    capsys.readouterr()
    await make(
        access, "watch_list_seen", "night", JSON, watch_list="guests", cameras=["door"],
        days=["fri"], start="22:00", end="06:00", min_score=0.5, zone="hall",
    )  # fmt: skip
    made = json.loads(capsys.readouterr().out)
    assert made["condition"]["camera_ids"] == [door.camera_id]
    assert made["condition"]["window"]["time_zone"] == "UTC"
    await set_rule_enabled(access, PIPED, rule="night", enabled=False)
    assert capsys.readouterr().out.split("\t")[4] == "no"
    await list_rules(access, PIPED)
    listed = capsys.readouterr().out
    assert f"in hall; at {door.camera_id}; score 0.5; fri 22:00-06:00 UTC" in listed
    with pytest.raises(CommandFailed, match="names this watch list") as used:
        await remove_watch_list(access, PIPED, Talk(), watch_list="guests")
    assert used.value.code is ExitCode.FAILED
    await remove_rule(access, PIPED, Talk(), rule="night")
    await remove_watch_list(access, PIPED, Talk(), watch_list="guests")
    with pytest.raises(CommandFailed, match="alert-rules list") as missing:
        await remove_rule(access, PIPED, Talk(), rule="night")
    assert missing.value.code is ExitCode.NOT_FOUND


async def test_people_are_put_on_a_list_and_taken_off(
    site: AlertSite, access: Access, capsys: Captured
) -> None:
    ada, bob = await site.person("Ada"), await site.person("Bob")
    await create_watch_list(access, PIPED, name="guests", description="who may", people=["Ada"])
    await change_members(access, PIPED, watch_list="guests", added=["Bob", "Ada"])
    await change_members(access, PIPED, watch_list="guests", removed=["Ada"])
    await list_watch_lists(access, PIPED)
    lines = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["guests", ada, "who may"]
    assert sorted(lines[1][1].split(",")) == sorted([ada, bob])
    assert lines[2] == lines[3] == ["guests", bob, "who may"]
