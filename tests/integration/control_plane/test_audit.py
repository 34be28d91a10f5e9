"""Every change leaves exactly one audit row, whatever made it; looks and refusals leave theirs."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import update

from control_plane.alerts.tables import AlertRow
from control_plane.webhooks.tables import WebhookDeliveryRow
from dfip.control_plane.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    alert_service_pb2,
    alert_service_pb2_grpc,
    audit_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    person_service_pb2,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from dfip.options.v1 import policy_pb2
from service_runtime.method_policy import read_rules
from tests.contract.services import SERVICES
from tests.support.fake_index import found, vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.refusals import refused
from tests.support.sightings import Reports, report

PASSWORD = "hunter2"
NOTE = "knows the back door"


class Walk:
    """A site with a client for everything, and the audit as an administrator reads it."""

    def __init__(self, people: PeopleSite) -> None:
        self.people = people
        self.site = people.site
        admin = self.site.channel("admin")
        self.cameras: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(admin)
        self.manager: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
            self.site.channel("manager")
        )
        self.admin: Any = admin_service_pb2_grpc.AdminServiceStub(admin)
        self.alerts: Any = alert_service_pb2_grpc.AlertServiceStub(admin)
        self.sightings: Any = sighting_service_pb2_grpc.SightingServiceStub(admin)
        self.tokens: Any = token_service_pb2_grpc.TokenServiceStub(admin)
        self.webhooks: Any = webhook_service_pb2_grpc.WebhookServiceStub(admin)
        self.audit: Any = audit_service_pb2_grpc.AuditServiceStub(admin)

    async def entries(self, **wanted: Any) -> list[audit_pb2.AuditEntry]:
        """Return the entries, newest first, without the looks at the audit itself."""
        answer = await self.audit.ListAuditEntries(
            audit_service_pb2.ListAuditEntriesRequest(page_size=1000, **wanted)
        )
        return [entry for entry in answer.data if entry.action != "audit_entries.list"]

    async def camera(self) -> str:
        created = await self.cameras.CreateCamera(
            control_plane_service_pb2.CreateCameraRequest(
                name="door",
                connection_string=f"rtsp://admin:{PASSWORD}@10.0.0.9/s",
                desired_state="running",
            )
        )
        return str(created.data.id)

    async def face(self) -> tuple[str, str]:
        person = await self.people.person(notes=NOTE)
        picture = self.people.photograph(uuid.uuid4().hex, found(vector(1, 2)))
        face = await self.people.send(person.id, picture)
        return person.id, face.id


@pytest.fixture
async def walk(tmp_path: Path, database_engine: str) -> AsyncIterator[Walk]:
    del database_engine  # chosen, for the control plane
    async with running_people_site(tmp_path) as people:
        yield Walk(people)


About = tuple[str, str]
Change = Callable[[Walk], Awaitable[tuple[About, About]]]
"""Calls an RPC with success and returns what its entry is about, and what that belongs to."""
NOTHING = ("", "")


async def create_camera(walk: Walk) -> tuple[About, About]:
    return ("camera", await walk.camera()), NOTHING


def of_camera(method: str, **fields: Any) -> Change:
    async def change(walk: Walk) -> tuple[About, About]:
        camera_id = await walk.camera()
        message = getattr(control_plane_service_pb2, f"{method}Request")
        await getattr(walk.cameras, method)(message(camera_id=camera_id, **fields))
        return ("camera", camera_id), NOTHING

    return change


async def issue_worker_token(walk: Walk) -> tuple[About, About]:
    camera_id = await walk.camera()
    await walk.manager.IssueWorkerToken(
        control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    )
    (entry,) = await walk.entries(action="worker_token.issue")
    return ("token", entry.object.id), ("camera", camera_id)


async def create_person(walk: Walk) -> tuple[About, About]:
    return ("person", (await walk.people.person()).id), NOTHING


async def update_person(walk: Walk) -> tuple[About, About]:
    person = await walk.people.person()
    await walk.people.persons.UpdatePerson(
        person_service_pb2.UpdatePersonRequest(person_id=person.id, notes=NOTE)
    )
    return ("person", person.id), NOTHING


async def delete_person(walk: Walk) -> tuple[About, About]:
    person_id, _ = await walk.face()
    await walk.people.persons.DeletePerson(
        person_service_pb2.DeletePersonRequest(person_id=person_id)
    )
    return ("person", person_id), NOTHING


async def add_face(walk: Walk) -> tuple[About, About]:
    person_id, face_id = await walk.face()
    return ("face", face_id), ("person", person_id)


async def delete_face(walk: Walk) -> tuple[About, About]:
    person_id, face_id = await walk.face()
    await walk.people.persons.DeleteFace(
        person_service_pb2.DeleteFaceRequest(person_id=person_id, face_id=face_id)
    )
    return ("face", face_id), ("person", person_id)


async def issue_token(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.IssueTokenRequest(role="viewer")
    issued = await walk.tokens.IssueToken(request)
    return ("token", issued.data.id), NOTHING


async def revoke_token(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.RevokeTokenRequest(token_id="some-id")
    await walk.tokens.RevokeToken(request)
    return ("token", "some-id"), NOTHING


async def revoke_subject_tokens(walk: Walk) -> tuple[About, About]:
    request = token_service_pb2.RevokeSubjectTokensRequest(subject="Somebody")
    await walk.tokens.RevokeSubjectTokens(request)
    return ("subject", "Somebody"), NOTHING


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
    async with walk.site.control_plane.database.write() as tx:
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


async def webhook(walk: Walk) -> str:
    request = webhook_service_pb2.CreateWebhookRequest(
        name="desk", url="https://receiver.localhost/hook", enabled=True
    )
    return str((await walk.webhooks.CreateWebhook(request)).data.id)


async def create_webhook(walk: Walk) -> tuple[About, About]:
    return ("webhook", await webhook(walk)), NOTHING


def of_webhook(method: str, **fields: Any) -> Change:
    async def change(walk: Walk) -> tuple[About, About]:
        webhook_id = await webhook(walk)
        message = getattr(webhook_service_pb2, f"{method}Request")
        await getattr(walk.webhooks, method)(message(webhook_id=webhook_id, **fields))
        return ("webhook", webhook_id), NOTHING

    return change


async def delivery_of_test(walk: Walk) -> tuple[str, str]:
    webhook_id = await webhook(walk)
    sent = await walk.webhooks.SendTest(webhook_service_pb2.SendTestRequest(webhook_id=webhook_id))
    return webhook_id, str(sent.data.id)


async def send_test(walk: Walk) -> tuple[About, About]:
    webhook_id, _ = await delivery_of_test(walk)
    return ("webhook", webhook_id), NOTHING


async def replay_delivery(walk: Walk) -> tuple[About, About]:
    webhook_id, delivery_id = await delivery_of_test(walk)
    async with walk.site.control_plane.database.write() as tx:
        await tx.session.execute(update(WebhookDeliveryRow).values(state="dead"))
    await walk.webhooks.ReplayDelivery(
        webhook_service_pb2.ReplayDeliveryRequest(webhook_id=webhook_id, delivery_id=delivery_id)
    )
    return ("delivery", delivery_id), ("webhook", webhook_id)


async def merge_persons(walk: Walk) -> tuple[About, About]:
    stays, goes = await walk.people.person("Ada"), await walk.people.person("Bert")
    await walk.people.persons.MergePersons(
        person_service_pb2.MergePersonsRequest(person_id=stays.id, other_person_id=goes.id)
    )
    return ("person", goes.id), NOTHING


async def seen(walk: Walk) -> str:
    reports = await Reports.open(walk.site)
    sighting = report("unknown", face=vector(0, 1))
    await reports.send(sighting)
    return str(sighting.id)


async def add_face_from_sighting(walk: Walk) -> tuple[About, About]:
    person, sighting_id = await walk.people.person(), await seen(walk)
    face = await walk.people.persons.AddFaceFromSighting(
        person_service_pb2.AddFaceFromSightingRequest(person_id=person.id, sighting_id=sighting_id)
    )
    return ("face", face.data.id), ("person", person.id)


async def label_sighting(walk: Walk) -> tuple[About, About]:
    person, sighting_id = await walk.people.person(), await seen(walk)
    await walk.sightings.LabelSighting(
        sighting_service_pb2.LabelSightingRequest(
            sighting_id=sighting_id, label="move", person_id=person.id
        )
    )
    return ("sighting", sighting_id), NOTHING


async def rotate_keys(walk: Walk) -> tuple[About, About]:
    await walk.admin.RotateKeys(admin_service_pb2.RotateKeysRequest(which="both"))
    return NOTHING, NOTHING


async def set_retention_policy(walk: Walk) -> tuple[About, About]:
    request = admin_service_pb2.SetRetentionPolicyRequest(event_days=3, run_now=True)
    await walk.admin.SetRetentionPolicy(request)
    return NOTHING, NOTHING


async def create_backup(walk: Walk) -> tuple[About, About]:
    await walk.admin.CreateBackup(admin_service_pb2.CreateBackupRequest())
    return NOTHING, NOTHING


CHANGES: dict[str, tuple[str, Change]] = {
    "ControlPlaneService/CreateCamera": ("camera.create", create_camera),
    "ControlPlaneService/UpdateCamera": ("camera.update", of_camera("UpdateCamera", name="yard")),
    "ControlPlaneService/SetCameraStatus": (
        "camera_status.set",
        of_camera("SetCameraStatus", status="disabled"),
    ),
    "ControlPlaneService/DeleteCamera": ("camera.delete", of_camera("DeleteCamera")),
    "ControlPlaneService/RetryCamera": ("camera.retry", of_camera("RetryCamera")),
    "ControlPlaneService/IssueWorkerToken": ("worker_token.issue", issue_worker_token),
    "PersonService/CreatePerson": ("person.create", create_person),
    "PersonService/UpdatePerson": ("person.update", update_person),
    "PersonService/DeletePerson": ("person.delete", delete_person),
    "PersonService/AddFace": ("face.add", add_face),
    "PersonService/DeleteFace": ("face.delete", delete_face),
    "AdminService/RotateKeys": ("keys.rotate", rotate_keys),
    "AlertService/CreateAlertRule": ("alert_rule.create", create_alert_rule),
    "AlertService/UpdateAlertRule": ("alert_rule.update", update_alert_rule),
    "AlertService/DeleteAlertRule": ("alert_rule.delete", delete_alert_rule),
    "AlertService/CreateWatchList": ("watch_list.create", create_watch_list),
    "AlertService/UpdateWatchList": ("watch_list.update", update_watch_list),
    "AlertService/DeleteWatchList": ("watch_list.delete", delete_watch_list),
    "AlertService/AcknowledgeAlert": ("alert.acknowledge", acknowledge_alert),
    "WebhookService/CreateWebhook": ("webhook.create", create_webhook),
    "WebhookService/UpdateWebhook": ("webhook.update", of_webhook("UpdateWebhook", name="gate")),
    "WebhookService/DeleteWebhook": ("webhook.delete", of_webhook("DeleteWebhook")),
    "WebhookService/RotateSecret": ("secret.rotate", of_webhook("RotateSecret")),
    "WebhookService/SendTest": ("test.send", send_test),
    "WebhookService/ReplayDelivery": ("delivery.replay", replay_delivery),
    "PersonService/MergePersons": ("persons.merge", merge_persons),
    "PersonService/AddFaceFromSighting": ("face_from_sighting.add", add_face_from_sighting),
    "SightingService/LabelSighting": ("sighting.label", label_sighting),
    "AdminService/SetRetentionPolicy": ("retention_policy.set", set_retention_policy),
    "AdminService/CreateBackup": ("backup.create", create_backup),
    "TokenService/IssueToken": ("token.issue", issue_token),
    "TokenService/RevokeToken": ("token.revoke", revoke_token),
    "TokenService/RevokeSubjectTokens": ("subject_tokens.revoke", revoke_subject_tokens),
}


def test_every_change_is_walked() -> None:
    services = [b.descriptor for b in SERVICES if "dfip.control_plane." in b.descriptor.full_name]
    changes = {
        path.rpartition(".")[2]
        for path, rule in read_rules(services).items()
        if rule.audit == policy_pb2.AUDIT_CHANGE
    }
    assert changes == CHANGES.keys(), "a change is called by nobody here: add how to CHANGES"


@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_a_change_leaves_exactly_one_entry(walk: Walk, name: str) -> None:
    action, change = CHANGES[name]
    about, within = await change(walk)
    (entry,) = await walk.entries(action=action)
    assert (entry.outcome, entry.count) == ("done", 1)
    assert (entry.actor, entry.token_id != "") == (f"test-{entry.role}", True)
    assert (entry.object.kind, entry.object.id) == about
    assert (entry.within.kind, entry.within.id) == within


async def test_entries_tell_no_values(walk: Walk) -> None:
    camera_id = await walk.camera()
    await walk.cameras.UpdateCamera(
        control_plane_service_pb2.UpdateCameraRequest(
            camera_id=camera_id, connection_string=f"rtsp://root:{PASSWORD}@10.0.0.9/t"
        )
    )
    person_id, _ = await walk.face()
    await walk.people.persons.DeletePerson(
        person_service_pb2.DeletePersonRequest(person_id=person_id)
    )
    entries = await walk.entries()
    (updated,) = [entry for entry in entries if entry.action == "camera.update"]
    assert list(updated.fields) == ["connection_string"]
    text = "".join(str(entry) for entry in entries)
    assert len(entries) == 5
    assert not [word for word in (PASSWORD, NOTE, "Ada", "rtsp") if word in text]
    assert {e.action for e in await walk.entries(object_id=person_id)} == {
        "person.create",
        "face.add",
        "person.delete",
    }


async def test_a_change_that_is_refused_by_the_domain_leaves_no_entry(walk: Walk) -> None:
    nobody = str(uuid.uuid4())
    with refused(grpc.StatusCode.NOT_FOUND, "CAMERA_NOT_FOUND"):
        await walk.cameras.DeleteCamera(
            control_plane_service_pb2.DeleteCameraRequest(camera_id=nobody)
        )
    assert await walk.entries() == []


async def test_who_may_not_leaves_an_entry_and_a_flood_leaves_one(walk: Walk) -> None:
    viewer: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel("viewer")
    )
    stranger: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel(token="nonsense")
    )
    request = control_plane_service_pb2.DeleteCameraRequest(camera_id=str(uuid.uuid4()))
    for _ in range(20):
        with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            await viewer.DeleteCamera(request)
        with refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"):
            await stranger.DeleteCamera(request)
    await walk.site.control_plane.flush_audit()
    entries = await walk.entries(outcome="refused")
    counts: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        key = (entry.reason, entry.actor, entry.action)
        counts[key] = counts.get(key, 0) + entry.count
    assert counts == {
        ("ROLE_NOT_ALLOWED", "test-viewer", "camera.delete"): 20,
        ("TOKEN_INVALID", "", "camera.delete"): 20,
    }
    assert len(entries) <= 4  # the first at once, the rest together


async def test_a_worker_of_an_older_epoch_leaves_an_entry(walk: Walk) -> None:
    camera_id = await walk.camera()
    worker: Any = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
        walk.site.channel("worker", camera_id=camera_id, epoch=0)
    )
    await walk.manager.IssueWorkerToken(
        control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=camera_id)
    )
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH"):
        await worker.ReportHeartbeat(
            control_plane_service_pb2.ReportHeartbeatRequest(camera_id=camera_id, status="running")
        )
    await walk.site.control_plane.flush_audit()
    (entry,) = await walk.entries(outcome="refused")
    assert (entry.reason, entry.actor, entry.action) == (
        "STALE_EPOCH",
        "test-worker",
        "heartbeat.report",
    )


async def test_each_look_at_a_face_leaves_an_entry(walk: Walk) -> None:
    reports = await Reports.open(walk.site)
    await reports.send(one := report("unknown", crop=b"\xff\xd8\xffa face"))
    pictures: Any = sighting_service_pb2_grpc.SightingServiceStub(walk.site.channel("viewer"))
    request = sighting_service_pb2.GetSightingImageRequest(sighting_id=one.id)
    for _ in range(2):
        await pictures.GetSightingImage(request)
    entries = await walk.entries(action="sighting_image.get")
    assert [(e.actor, e.object.kind, e.object.id) for e in entries] == [
        ("test-viewer", "sighting", one.id)
    ] * 2


async def test_reading_the_audit_is_an_entry_too(walk: Walk) -> None:
    request = audit_service_pb2.ListAuditEntriesRequest(action="audit_entries.list")
    assert len((await walk.audit.ListAuditEntries(request)).data) == 0
    assert len((await walk.audit.ListAuditEntries(request)).data) == 1


async def test_entries_come_in_pages_newest_first(walk: Walk) -> None:
    for _ in range(5):
        await walk.people.person()
    request = audit_service_pb2.ListAuditEntriesRequest(action="person.create", page_size=2)
    ids: list[int] = []
    while True:
        page = await walk.audit.ListAuditEntries(request)
        ids += [int(entry.id) for entry in page.data]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)
    request.actor = "somebody else"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
        await walk.audit.ListAuditEntries(request)


async def test_entries_are_chosen_by_time_kind_and_actor(walk: Walk) -> None:
    await walk.camera()
    (entry,) = await walk.entries(object_kind="camera", actor="test-admin")
    later = Timestamp(seconds=entry.at.seconds + 60)
    earlier = Timestamp(seconds=entry.at.seconds - 60)
    assert await walk.entries(since=earlier, until=later) == [entry]
    assert await walk.entries(since=later) == []
    assert await walk.entries(until=earlier) == []
    assert await walk.entries(object_kind="person") == []
    assert await walk.entries(actor="test-operator") == []
