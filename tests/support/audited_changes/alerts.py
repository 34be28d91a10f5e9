"""How each change of a rule, a watch list or an alert is made."""

import uuid

from control_plane.alerts.tables import AlertRow
from dfip.control_plane.v1 import (
    alert_service_pb2,
)
from tests.support.audited_changes.walk import NOTHING, About, Changes, Walk


async def alert_rule(walk: Walk) -> str:
    request = alert_service_pb2.CreateAlertRuleRequest(name="errors", kind="worker_error")
    return str((await walk.alerts.CreateAlertRule(request)).data.id)


async def create_alert_rule(walk: Walk) -> tuple[About, About]:
    return ("alert_rule", await alert_rule(walk)), NOTHING


async def update_alert_rule(walk: Walk) -> tuple[About, About]:
    rule_id = await alert_rule(walk)
    await walk.alerts.UpdateAlertRule(
        alert_service_pb2.UpdateAlertRuleRequest(rule_id=rule_id, name="worker errors")
    )
    return ("rule", rule_id), NOTHING


async def delete_alert_rule(walk: Walk) -> tuple[About, About]:
    rule_id = await alert_rule(walk)
    await walk.alerts.DeleteAlertRule(alert_service_pb2.DeleteAlertRuleRequest(rule_id=rule_id))
    return ("rule", rule_id), NOTHING


async def watch_list(walk: Walk) -> str:
    request = alert_service_pb2.CreateWatchListRequest(name="guests")
    return str((await walk.alerts.CreateWatchList(request)).data.id)


async def create_watch_list(walk: Walk) -> tuple[About, About]:
    return ("watch_list", await watch_list(walk)), NOTHING


async def update_watch_list(walk: Walk) -> tuple[About, About]:
    list_id = await watch_list(walk)
    await walk.alerts.UpdateWatchList(
        alert_service_pb2.UpdateWatchListRequest(watch_list_id=list_id, name="visitors")
    )
    return ("watch_list", list_id), NOTHING


async def delete_watch_list(walk: Walk) -> tuple[About, About]:
    list_id = await watch_list(walk)
    await walk.alerts.DeleteWatchList(
        alert_service_pb2.DeleteWatchListRequest(watch_list_id=list_id)
    )
    return ("watch_list", list_id), NOTHING


async def acknowledge_alert(walk: Walk) -> tuple[About, About]:
    alert_id, rule_id = str(uuid.uuid4()), await alert_rule(walk)
    async with walk.site.control_plane.parts.database.write() as tx:
        tx.session.add(
            AlertRow(
                id=alert_id,
                rule_id=rule_id,
                rule_name="errors",
                kind="worker_error",
                severity="warning",
                camera_id=str(uuid.uuid4()),
                zone="",
                state="open",
                raised_at=tx.now,
                message="The worker has failed.",
                details={},
                acknowledged_by="",
                note="",
            )
        )
    await walk.alerts.AcknowledgeAlert(alert_service_pb2.AcknowledgeAlertRequest(alert_id=alert_id))
    return ("alert", alert_id), NOTHING


CHANGES: Changes = {
    "AlertService/CreateAlertRule": ("alert_rule.create", create_alert_rule),
    "AlertService/UpdateAlertRule": ("alert_rule.update", update_alert_rule),
    "AlertService/DeleteAlertRule": ("alert_rule.delete", delete_alert_rule),
    "AlertService/CreateWatchList": ("watch_list.create", create_watch_list),
    "AlertService/UpdateWatchList": ("watch_list.update", update_watch_list),
    "AlertService/DeleteWatchList": ("watch_list.delete", delete_watch_list),
    "AlertService/AcknowledgeAlert": ("alert.acknowledge", acknowledge_alert),
}
