"""What `dfip alerts …` does: lists alerts, follows them, and says that somebody looks after one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc

from cli.client.access import Access, connected
from cli.client.lookup import camera_id_of, camera_names, person_id_of
from cli.client.pages import all_pages
from cli.client.rules import rule_id_of
from cli.client.times import full_time, short_time
from cli.output import Column, Output
from cli.talk import Talk
from dfip.control_plane.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc

_RECONNECT_S = 1.0


def alert_columns(names: dict[str, str]) -> tuple[Column[alert_pb2.Alert], ...]:
    """Return how alerts are shown; `names` has the name of each camera by its id."""
    return (
        Column(title="id", value=lambda a: a.id, aside=True),
        Column(
            title="raised",
            value=lambda a: full_time(a.raised_at),
            shown=lambda a: short_time(a.raised_at),
        ),
        Column(title="severity", value=lambda a: a.severity),
        Column(title="state", value=lambda a: a.state),
        Column(title="kind", value=lambda a: a.kind, aside=True),
        Column(title="rule", value=lambda a: a.rule_name),
        Column(
            title="camera",
            value=lambda a: a.camera_id,
            shown=lambda a: names.get(a.camera_id, a.camera_id),
        ),
        Column(title="person id", value=lambda a: a.person_id, aside=True),
        Column(title="sighting", value=lambda a: a.sighting_id, aside=True),
        Column(title="message", value=lambda a: a.message),
        Column(title="acknowledged by", value=lambda a: a.acknowledged_by),
        Column(title="note", value=lambda a: a.note),
    )


def describe_alert(alert: alert_pb2.Alert) -> str:
    """Return an alert as one line for people."""
    return (
        f"{short_time(alert.raised_at)}  {alert.severity:<8}  {alert.state:<12}  "
        f"{alert.message}  ({alert.rule_name}, id {alert.id})"
    )


async def list_alerts(
    access: Access,
    output: Output,
    *,
    rule: str,
    camera: str,
    person: str,
    state: str,
    since_s: int | None,
    limit: int,
) -> None:
    """Print the newest alerts, newest first."""
    async with connected(access) as channel:
        stub = alert_service_pb2_grpc.AlertServiceStub(channel)
        request = alert_service_pb2.ListAlertsRequest(
            rule_id=await rule_id_of(channel, rule) if rule else "",
            camera_id=await camera_id_of(channel, camera) if camera else "",
            person_id=await person_id_of(channel, person) if person else "",
            state=state,
        )
        if since_s is not None:
            request.since.FromDatetime(datetime.now(UTC) - timedelta(seconds=since_s))
        found = await all_pages(stub.ListAlerts, request, limit=limit)
        names = await camera_names(channel)
    output.listing(found, alert_columns(names), empty="No alert was raised.")


async def watch_alerts(
    access: Access, output: Output, talk: Talk, *, rule: str, camera: str, limit: int | None
) -> None:
    """Print alerts as they are raised and acknowledged, a line each, until `limit` or for ever."""
    async with connected(access) as channel:
        request = alert_service_pb2.WatchAlertsRequest(
            rule_id=await rule_id_of(channel, rule) if rule else "",
            camera_id=await camera_id_of(channel, camera) if camera else "",
        )
        columns = alert_columns(await camera_names(channel))
        printed = 0
        async for alert in _watch(channel, request, talk):
            output.line(alert, columns, sentence=describe_alert)
            printed += 1
            if limit is not None and printed >= limit:
                return


async def acknowledge_alert(access: Access, output: Output, *, alert_id: str, note: str) -> None:
    """Say that somebody looks after an alert, and print it."""
    async with connected(access) as channel:
        answer = await alert_service_pb2_grpc.AlertServiceStub(channel).AcknowledgeAlert(
            alert_service_pb2.AcknowledgeAlertRequest(alert_id=alert_id, note=note)
        )
        names = await camera_names(channel)
    output.record(answer.data, alert_columns(names))


async def _watch(
    channel: grpc.aio.Channel, request: alert_service_pb2.WatchAlertsRequest, talk: Talk
) -> AsyncIterator[alert_pb2.Alert]:
    """Yield alerts for ever; a broken stream goes on where it ended."""
    stub = alert_service_pb2_grpc.AlertServiceStub(channel)
    was_there = False
    while True:
        try:
            async for message in stub.WatchAlerts(request):
                was_there = True
                request.resume_token = message.resume_token or request.resume_token
                for alert in message.alerts:
                    yield alert
        except grpc.aio.AioRpcError as error:
            if not was_there or error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        if was_there:
            talk.say("The connection was lost; following goes on as soon as it is back.", "warning")
            was_there = bool(request.resume_token)
        await asyncio.sleep(_RECONNECT_S)
