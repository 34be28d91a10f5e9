"""Rules, watch lists and alerts between the contract and the domain."""

from datetime import UTC, datetime, time

from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.alerts import model
from control_plane.alerts.model import (
    Alert,
    Condition,
    Rule,
    RuleChange,
    WatchList,
    WatchListChange,
    days_of,
)
from control_plane.alerts.windows import DAYS, Window, check_time_zone
from control_plane.people.model import clean_name, clean_text, person_not_found
from control_plane.runtime.mapping import timestamp
from control_plane.runtime.store import camera_not_found
from dfip.control_plane.v1 import alert_pb2
from dfip.control_plane.v1 import alert_service_pb2 as pb
from service_runtime.errors import FieldViolation, InvalidArgument, NotFound
from service_runtime.identifiers import parse_id


def condition_of(message: alert_pb2.AlertCondition) -> Condition:
    """Read a condition.

    Raises:
        InvalidArgument: A field of it is malformed.
        NotFound: An id in it is none.
    """
    return Condition(
        person_id=person_id_of(message.person_id) or None,
        watch_list_id=watch_list_id_of(message.watch_list_id) or None,
        camera_ids=tuple(dict.fromkeys(camera_id_of(text) for text in message.camera_ids)),
        zone=clean_text("condition.zone", message.zone),
        window=_window(message.window) if message.HasField("window") else None,
        min_score=message.min_score if message.HasField("min_score") else None,
        over=message.over if message.HasField("over") else None,
        for_s=message.for_s,
        health=tuple(message.health),
    )


def rule_change(request: pb.UpdateAlertRuleRequest) -> RuleChange:
    """Return what a request changes of a rule.

    Raises:
        InvalidArgument: A value breaks a rule.
        NotFound: An id in it is none.
    """
    description = None
    if request.HasField("description"):
        description = clean_text("description", request.description)
    return RuleChange(
        name=clean_name(request.name) if request.HasField("name") else None,
        description=description,
        severity=request.severity if request.HasField("severity") else None,
        enabled=request.enabled if request.HasField("enabled") else None,
        condition=condition_of(request.condition) if request.HasField("condition") else None,
        cooldown_s=request.cooldown_s if request.HasField("cooldown_s") else None,
        etag=request.etag,
    )


def watch_list_change(request: pb.UpdateWatchListRequest) -> WatchListChange:
    """Return what a request changes of a watch list.

    Raises:
        InvalidArgument: A value breaks a rule.
        NotFound: An id in it is none.
    """
    description = None
    if request.HasField("description"):
        description = clean_text("description", request.description)
    members = None
    if request.HasField("members"):
        members = person_ids_of(list(request.members.person_ids))
    return WatchListChange(
        name=clean_name(request.name) if request.HasField("name") else None,
        description=description,
        person_ids=members,
        etag=request.etag,
    )


def rule_message(rule: Rule) -> alert_pb2.AlertRule:
    """Return the contract's rule."""
    return alert_pb2.AlertRule(
        id=rule.id,
        name=rule.name,
        description=rule.description,
        kind=rule.kind,
        severity=rule.severity,
        enabled=rule.enabled,
        condition=_condition_message(rule.condition),
        cooldown_s=rule.cooldown_s,
        created_at=timestamp(rule.created_at),
        updated_at=timestamp(rule.updated_at),
        etag=rule.etag,
    )


def watch_list_message(found: WatchList) -> alert_pb2.WatchList:
    """Return the contract's watch list."""
    return alert_pb2.WatchList(
        id=found.id,
        name=found.name,
        description=found.description,
        person_ids=found.person_ids,
        created_at=timestamp(found.created_at),
        updated_at=timestamp(found.updated_at),
        etag=found.etag,
    )


def alert_message(alert: Alert, *, person_name: str) -> alert_pb2.Alert:
    """Return the contract's alert; without the person's name where it goes into an event."""
    message = alert_pb2.Alert(
        id=alert.id,
        rule_id=alert.rule_id,
        rule_name=alert.rule_name,
        kind=alert.kind,
        severity=alert.severity,
        camera_id=alert.camera_id,
        person_id=alert.person_id or "",
        person_name=person_name,
        sighting_id=alert.sighting_id or "",
        zone=alert.zone,
        state=alert.state,
        raised_at=timestamp(alert.raised_at),
        message=model.with_name(alert.message, person_name),
        acknowledged_by=alert.acknowledged_by,
        note=alert.note,
    )
    # a field that a later version removed must not make old alerts unreadable
    ParseDict(dict(alert.details), message.details, ignore_unknown_fields=True)
    if alert.acknowledged_at is not None:
        message.acknowledged_at.CopyFrom(timestamp(alert.acknowledged_at))
    return message


def moment_of(field: str, message: Timestamp) -> datetime:
    """Read a time.

    Raises:
        InvalidArgument: It is none.
    """
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            "REQUEST_INVALID",
            f"{field} is not a time between the years 1 and 9999.",
            violations=[FieldViolation(field=field, description="is not a time")],
        ) from None


def camera_id_of(text: str) -> str:
    """Return the id of a camera; empty stays empty."""
    try:
        return parse_id(text, noun="camera") if text else ""
    except NotFound:
        raise camera_not_found(text[:64]) from None


def person_id_of(text: str) -> str:
    """Return the id of a person; empty stays empty."""
    try:
        return parse_id(text, noun="person") if text else ""
    except NotFound:
        raise person_not_found(text[:64]) from None


def person_ids_of(texts: list[str]) -> tuple[str, ...]:
    """Return the ids of people, each once."""
    return tuple(dict.fromkeys(parse_id(text, noun="person") for text in texts))


def watch_list_id_of(text: str) -> str:
    """Return the id of a watch list; empty stays empty."""
    try:
        return parse_id(text, noun="watch_list") if text else ""
    except NotFound:
        raise model.watch_list_not_found(text[:64]) from None


def rule_id_of(text: str) -> str:
    """Return the id of a rule; empty stays empty."""
    try:
        return parse_id(text, noun="rule") if text else ""
    except NotFound:
        raise model.rule_not_found(text[:64]) from None


def _condition_message(condition: Condition) -> alert_pb2.AlertCondition:
    message = alert_pb2.AlertCondition(
        person_id=condition.person_id or "",
        watch_list_id=condition.watch_list_id or "",
        camera_ids=condition.camera_ids,
        zone=condition.zone,
        min_score=condition.min_score,
        over=condition.over,
        for_s=condition.for_s,
        health=condition.health,
    )
    window = condition.window
    if window is not None:
        message.window.CopyFrom(
            alert_pb2.AlertWindow(
                days=[DAYS[day] for day in sorted(window.days)],
                start=window.start.isoformat(timespec="minutes"),
                end=window.end.isoformat(timespec="minutes"),
                time_zone=window.time_zone,
            )
        )
    return message


def _window(message: alert_pb2.AlertWindow) -> Window:
    return Window(
        days=days_of(tuple(message.days)),
        # their form was checked by the contract's own rules
        start=time.fromisoformat(message.start),
        end=time.fromisoformat(message.end),
        time_zone=check_time_zone(message.time_zone or "UTC"),
    )
