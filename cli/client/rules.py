"""What `dfip alert-rules …` does."""

import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of, is_id, only_one, person_id_of
from cli.client.pages import all_pages
from cli.client.watch_lists import watch_list_id_of
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCondition:
    """A condition as people type it: cameras, person and watch list by id or by name."""

    person: str = ""
    watch_list: str = ""
    cameras: Sequence[str] = ()
    zone: str = ""
    days: Sequence[str] = ()
    start: str = ""
    end: str = ""
    time_zone: str = ""
    min_score: float | None = None
    over: int | None = None
    for_s: int = 0
    health: Sequence[str] = dataclasses.field(default=())


RULE: tuple[Column[alert_pb2.AlertRule], ...] = (
    Column(title="id", value=lambda r: r.id, aside=True),
    Column(title="name", value=lambda r: r.name),
    Column(title="kind", value=lambda r: r.kind),
    Column(title="severity", value=lambda r: r.severity),
    Column(title="enabled", value=lambda r: "yes" if r.enabled else "no"),
    Column(
        title="cooldown", value=lambda r: str(r.cooldown_s), shown=lambda r: f"{r.cooldown_s} s"
    ),
    Column(title="condition", value=lambda r: describe_condition(r.condition)),
    Column(title="description", value=lambda r: r.description, aside=True),
)


def describe_condition(condition: alert_pb2.AlertCondition) -> str:
    """Return a condition in a few words; people, lists and cameras by their ids."""
    words: list[str] = []
    if condition.person_id:
        words.append(f"person {condition.person_id}")
    if condition.watch_list_id:
        words.append(f"watch list {condition.watch_list_id}")
    if condition.HasField("over"):
        words.append(f"over {condition.over}")
    if condition.health:
        words.append("/".join(condition.health))
    if condition.for_s:
        words.append(f"for {condition.for_s} s")
    if condition.zone:
        words.append(f"in {condition.zone}")
    if condition.camera_ids:
        words.append(f"at {','.join(condition.camera_ids)}")
    if condition.HasField("min_score"):
        words.append(f"score {condition.min_score:g}")
    if condition.HasField("window"):
        window = condition.window
        days = ",".join(window.days)
        words.append(f"{days} {window.start}-{window.end} {window.time_zone}".strip())
    return "; ".join(words)


async def list_rules(access: Access, output: Output) -> None:
    """Print every rule."""
    async with connected(access) as channel:
        rules = await _rules(channel)
    output.listing(rules, RULE, empty="There is no rule yet; make one with `dfip alert-rules add`.")


async def add_rule(
    access: Access,
    output: Output,
    *,
    kind: str,
    name: str,
    description: str,
    severity: str,
    cooldown_s: int | None,
    enabled: bool,
    wanted: WantedCondition,
) -> None:
    """Make a rule and print it."""
    async with connected(access) as channel:
        request = alert_service_pb2.CreateAlertRuleRequest(
            name=name,
            description=description,
            kind=kind,
            severity=severity,
            enabled=enabled,
            condition=await _condition(channel, wanted),
            cooldown_s=cooldown_s,
            request_id=str(uuid.uuid4()),
        )
        answer = await alert_service_pb2_grpc.AlertServiceStub(channel).CreateAlertRule(request)
    output.record(answer.data, RULE)


async def set_rule_enabled(access: Access, output: Output, *, rule: str, enabled: bool) -> None:
    """Enable or disable a rule and print it."""
    async with connected(access) as channel:
        request = alert_service_pb2.UpdateAlertRuleRequest(
            rule_id=await rule_id_of(channel, rule), enabled=enabled
        )
        answer = await alert_service_pb2_grpc.AlertServiceStub(channel).UpdateAlertRule(request)
    output.record(answer.data, RULE)


async def remove_rule(access: Access, output: Output, talk: Talk, *, rule: str) -> None:
    """Remove a rule; its alerts stay."""
    async with connected(access) as channel:
        rule_id = await rule_id_of(channel, rule)
        await alert_service_pb2_grpc.AlertServiceStub(channel).DeleteAlertRule(
            alert_service_pb2.DeleteAlertRuleRequest(rule_id=rule_id)
        )
    if output.as_json:
        output.text("", {"rule_id": rule_id})
    else:
        talk.say(f"The rule {rule} is removed; its alerts stay.")


async def rule_id_of(channel: grpc.aio.Channel, reference: str) -> str:
    """Return the id of the rule with this id or exactly this name.

    Raises:
        CommandFailed: no rule has this name, or several have.
    """
    if is_id(reference):
        return reference
    rules = await _rules(channel)
    return only_one(
        reference, "rule", rules, lambda r: r.name, lambda r: r.id, listing="alert-rules list"
    )


async def _rules(channel: grpc.aio.Channel) -> list[alert_pb2.AlertRule]:
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    return await all_pages(stub.ListAlertRules, alert_service_pb2.ListAlertRulesRequest())


async def _condition(
    channel: grpc.aio.Channel, wanted: WantedCondition
) -> alert_pb2.AlertCondition:
    condition = alert_pb2.AlertCondition(
        person_id=await person_id_of(channel, wanted.person) if wanted.person else "",
        watch_list_id=(
            await watch_list_id_of(channel, wanted.watch_list) if wanted.watch_list else ""
        ),
        camera_ids=[await camera_id_of(channel, camera) for camera in wanted.cameras],
        zone=wanted.zone,
        min_score=wanted.min_score,
        over=wanted.over,
        for_s=wanted.for_s,
        health=wanted.health,
    )
    if wanted.days or wanted.start or wanted.end or wanted.time_zone:
        condition.window.CopyFrom(
            alert_pb2.AlertWindow(
                days=wanted.days,
                start=wanted.start or "00:00",
                end=wanted.end or "00:00",
                time_zone=wanted.time_zone,
            )
        )
    return condition
