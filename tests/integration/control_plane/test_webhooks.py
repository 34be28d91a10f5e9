"""Webhooks through their API, with real receivers: what arrives, what is told, what is kept."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from control_plane.webhooks import model
from dfip.control_plane.v1 import control_plane_service_pb2 as cameras_pb
from dfip.control_plane.v1 import person_service_pb2, webhook_pb2
from dfip.control_plane.v1 import webhook_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.person_service_pb2_grpc import PersonServiceStub
from dfip.control_plane.v1.webhook_service_pb2_grpc import WebhookServiceStub
from service_runtime.identifiers import new_id
from tests.integration.control_plane.conftest import RTSP
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.postgres import PostgresSite
from tests.support.receiver import Receiver, receiving
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock, settle

Code = grpc.StatusCode
CANARY = "canary-9c2e"
LOOPBACK: dict[str, Any] = {"webhook_networks": "127.0.0.0/8", "webhook_http": True}
on_both_engines = pytest.mark.usefixtures("database_engine")


@asynccontextmanager
async def site(
    folder: Path, clock: VirtualClock | None = None, **settings: Any
) -> AsyncIterator[RunningControlPlane]:
    values = LOOPBACK | settings
    async with running_control_plane(folder, clock=clock, **values) as running:
        yield running
        assert not running.stopping, "a root task of the control plane crashed"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def webhooks(running: RunningControlPlane, role: str = "admin") -> Any:
    return WebhookServiceStub(running.channel(role))


async def made(running: RunningControlPlane, url: str, *types: str, **more: Any) -> Any:
    request = pb.CreateWebhookRequest(name="pager", url=url, event_types=types, **more)
    return (await webhooks(running).CreateWebhook(request)).data


async def happen(running: RunningControlPlane, name: str = "Door") -> str:
    request = cameras_pb.CreateCameraRequest(name=name, connection_string=RTSP)
    created = await ControlPlaneServiceStub(running.channel()).CreateCamera(request)
    return str(created.data.id)


async def until(running: RunningControlPlane, webhook_id: str, *states: str) -> Any:
    """Wait until the deliveries are in these states, newest first; return them."""
    stub = webhooks(running)
    async with asyncio.timeout(20):
        while True:
            listed = await stub.ListDeliveries(pb.ListDeliveriesRequest(webhook_id=webhook_id))
            if [d.state for d in listed.data] == list(states):
                return listed.data
            await settle()


@on_both_engines
async def test_from_registration_to_removal(tmp_path: Path, receiver: Receiver) -> None:
    async with site(tmp_path) as running:
        stub = webhooks(running)
        webhook = await made(running, receiver.url(f"/hook?token={CANARY}"), "camera.created")
        assert webhook.secret.startswith("whsec_")
        assert (webhook.enabled, webhook.disabled_reason) == (True, "")
        camera_id = await happen(running)
        got = await receiver.next()
        Verifier(webhook.secret).verify(got.body, got.headers)
        event = json.loads(got.body)
        assert event["type"] == "dfip.camera.created"
        assert event["subject"] == f"cameras/{camera_id}"
        assert event["data"]["camera"]["connection_string"] == "rtsp://..."
        assert b"canary" not in got.body
        (done,) = await until(running, webhook.id, "delivered")
        assert (done.attempts, done.last_status, done.event_type) == (1, 204, "camera.created")
        assert got.headers["webhook-id"] == done.id
        read = await stub.GetDelivery(
            pb.GetDeliveryRequest(webhook_id=webhook.id, delivery_id=done.id)
        )
        assert read.data == done
        replayed = await stub.ReplayDelivery(
            pb.ReplayDeliveryRequest(webhook_id=webhook.id, delivery_id=done.id)
        )
        assert replayed.data.state == "pending"
        assert (await receiver.next()).headers["webhook-id"] == done.id
        queued = await stub.SendTest(pb.SendTestRequest(webhook_id=webhook.id))
        assert (await receiver.next()).headers["webhook-id"] == queued.data.id
        await until(running, webhook.id, "delivered", "delivered")
        await stub.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=webhook.id))
        await happen(running, "Gate")
        for call in (
            stub.GetWebhook(pb.GetWebhookRequest(webhook_id=webhook.id)),
            stub.ListDeliveries(pb.ListDeliveriesRequest(webhook_id=webhook.id)),
            stub.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=webhook.id)),
        ):
            with refused(Code.NOT_FOUND, "WEBHOOK_NOT_FOUND"):
                await call
        assert receiver.posts.empty()


@on_both_engines
async def test_a_secret_is_told_once_and_nothing_secret_is_logged_or_stored(
    tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str], database_engine: str
) -> None:
    async with site(tmp_path, VirtualClock()) as running:
        stub = webhooks(running)
        url = receiver.url(f"/?{CANARY}")
        first = await made(running, url, "*", request_id="once")
        again = await made(running, url, "*", request_id="once")
        assert again.id == first.id
        assert not again.HasField("secret")
        reused = pb.CreateWebhookRequest(name="other", url=url, request_id="once")
        with refused(Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
            await stub.CreateWebhook(reused)
        rotated = (await stub.RotateSecret(pb.RotateSecretRequest(webhook_id=first.id))).data
        assert rotated.secret not in {"", first.secret}
        rotation = pb.RotateSecretRequest(webhook_id=first.id)
        with refused(Code.FAILED_PRECONDITION, "ROTATION_OPEN"):
            await stub.RotateSecret(rotation)
        receiver.answer(500, body=b"secret of the receiver")
        await happen(running)
        got = await receiver.next()
        assert len(got.headers["webhook-signature"].split()) == 2
        told = [
            (await stub.GetWebhook(pb.GetWebhookRequest(webhook_id=first.id))).data,
            (await stub.ListWebhooks(pb.ListWebhooksRequest())).data[0],
            (
                await stub.UpdateWebhook(pb.UpdateWebhookRequest(webhook_id=first.id, name="bell"))
            ).data,
        ]
        assert [one.HasField("secret") for one in told] == [False] * 3
        assert told[2].name == "bell"
        assert told[0].url == url
    secrets = [first.secret, rotated.secret, CANARY]
    written = capsys.readouterr()
    stored = dump(tmp_path) if database_engine == "sqlite" else ""
    for text in (written.out, written.err, stored):
        assert not [secret for secret in secrets if secret in text]
        assert "secret of the receiver" not in text


def dump(folder: Path) -> str:
    """Return whatever the files of a database hold, as text."""
    file = folder / "data" / "dfip.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file.read_bytes().decode("latin-1")


@on_both_engines
async def test_what_waits_survives_a_restart_under_its_id(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = VirtualClock()
    receiver.answer(503)
    async with site(tmp_path, clock) as running:
        webhook = await made(running, receiver.url(), "camera.*")
        await happen(running)
        first = await receiver.next()
        while not (await until(running, webhook.id, "pending"))[0].failure_reason:
            await settle()
    receiver.answer(204)
    await clock.advance(10)
    async with site(tmp_path, clock) as running:
        second = await receiver.next()
        await until(running, webhook.id, "delivered")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@on_both_engines
async def test_an_erased_person_is_in_nothing_that_is_sent_afterwards(
    tmp_path: Path, receiver: Receiver, database_engine: str
) -> None:
    clock = VirtualClock()
    receiver.answer(500)
    async with site(tmp_path, clock) as running:
        webhook = await made(running, receiver.url(), "person.created")
        people = PersonServiceStub(running.channel())
        request = person_service_pb2.CreatePersonRequest(name=f"Person {CANARY}", notes=CANARY)
        person_id = (await people.CreatePerson(request)).data.id
        assert CANARY in (await receiver.next()).body.decode()
        while not (await until(running, webhook.id, "pending"))[0].failure_reason:
            await settle()
        await people.DeletePerson(person_service_pb2.DeletePersonRequest(person_id=person_id))
    if database_engine == "sqlite":
        assert CANARY not in dump(tmp_path)
    receiver.answer(204)
    await clock.advance(10)
    async with site(tmp_path, clock) as running:
        sent = (await receiver.next()).body.decode()
        await until(running, webhook.id, "delivered")
    assert CANARY not in sent
    assert json.loads(sent)["data"]["person_id"] == person_id


@on_both_engines
async def test_lists_come_in_pages_and_by_state(tmp_path: Path, receiver: Receiver) -> None:
    async with site(tmp_path, VirtualClock()) as running:
        stub = webhooks(running)
        ids = [(await made(running, receiver.url(), "camera.created")).id for _ in range(3)]
        found: list[str] = []
        token = ""
        while True:
            page = await stub.ListWebhooks(pb.ListWebhooksRequest(page_size=2, page_token=token))
            found += [one.id for one in page.data]
            token = page.next_page_token
            if not token:
                break
        assert sorted(found) == sorted(ids)
        for number in range(3):
            await happen(running, f"camera {number}")
        await until(running, ids[0], *["delivered"] * 3)
        first = await stub.ListDeliveries(
            pb.ListDeliveriesRequest(webhook_id=ids[0], state="delivered", page_size=2)
        )
        rest = await stub.ListDeliveries(
            pb.ListDeliveriesRequest(
                webhook_id=ids[0],
                state="delivered",
                page_size=2,
                page_token=first.next_page_token,
            )
        )
        assert len({d.id for d in [*first.data, *rest.data]}) == 3
        assert rest.next_page_token == ""
        none = await stub.ListDeliveries(pb.ListDeliveriesRequest(webhook_id=ids[0], state="dead"))
        assert list(none.data) == []
        other = pb.ListDeliveriesRequest(webhook_id=ids[1], page_token=first.next_page_token)
        with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
            await stub.ListDeliveries(other)


async def test_what_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, VirtualClock(), webhook_networks="", webhook_http=False) as running:
        stub = webhooks(running)
        for url in (
            "http://receiver.example/", "https://127.0.0.1/", "https://[::1]/",
            "https://10.0.0.1/", "https://169.254.169.254/", "https://2852039166/",
            f"https://user:{CANARY}@receiver.example/",
        ):  # fmt: skip
            with refused(Code.INVALID_ARGUMENT, "WEBHOOK_URL_INVALID") as told:
                await stub.CreateWebhook(pb.CreateWebhookRequest(name="x", url=url))
            assert CANARY not in told.sentence
        good = {"name": "x", "url": "https://receiver.example/"}
        wrongs: list[tuple[dict[str, Any], grpc.StatusCode, str]] = [
            ({"secret": "short"}, Code.INVALID_ARGUMENT, "WEBHOOK_SECRET_INVALID"),
            ({"event_types": ["internal.*"]}, Code.INVALID_ARGUMENT, "EVENT_TYPE_INVALID"),
            ({"event_types": ["Camera"]}, Code.INVALID_ARGUMENT, "REQUEST_INVALID"),
            ({"name": " "}, Code.INVALID_ARGUMENT, "WEBHOOK_NAME_INVALID"),
            ({"camera_ids": ["x"]}, Code.NOT_FOUND, "CAMERA_NOT_FOUND"),
        ]
        for wrong, code, reason in wrongs:
            request = pb.CreateWebhookRequest(**(good | wrong))
            with refused(code, reason):
                await stub.CreateWebhook(request)
        webhook = await made(running, "https://receiver.example/")
        assert list(webhook.event_types) == ["alert.raised"]
        stale = pb.UpdateWebhookRequest(webhook_id=webhook.id, name="y", etag="7")
        with refused(Code.ABORTED, "ETAG_MISMATCH"):
            await stub.UpdateWebhook(stale)
        off = pb.UpdateWebhookRequest(webhook_id=webhook.id, enabled=False, etag=webhook.etag)
        disabled: webhook_pb2.Webhook = (await stub.UpdateWebhook(off)).data
        assert (disabled.enabled, disabled.disabled_reason) == (False, "admin")
        test = pb.SendTestRequest(webhook_id=webhook.id)
        with refused(Code.FAILED_PRECONDITION, "WEBHOOK_DISABLED"):
            await stub.SendTest(test)
        nothing = pb.GetDeliveryRequest(webhook_id=webhook.id, delivery_id=new_id())
        with refused(Code.NOT_FOUND, "DELIVERY_NOT_FOUND"):
            await stub.GetDelivery(nothing)
        with refused(Code.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
            await webhooks(running, "operator").ListWebhooks(pb.ListWebhooksRequest())


async def test_there_is_a_most_of_webhooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MOST_WEBHOOKS", 3)
    async with site(tmp_path, VirtualClock()) as running:
        for _ in range(3):
            await made(running, "https://receiver.example/", enabled=False)
        request = pb.CreateWebhookRequest(name="x", url="https://receiver.example/")
        with refused(Code.RESOURCE_EXHAUSTED, "TOO_MANY_WEBHOOKS"):
            await webhooks(running).CreateWebhook(request)


async def test_two_replicas_deliver_each_event_once(
    tmp_path: Path, postgres: PostgresSite, receiver: Receiver
) -> None:
    url = postgres.url(await postgres.fresh())
    async with site(tmp_path / "a", database_url=url) as one:
        shutil.copytree(tmp_path / "a" / "data" / "keys", tmp_path / "b" / "data" / "keys")
        async with site(tmp_path / "b", database_url=url) as other:
            webhook = await made(one, receiver.url(), "camera.created")
            wanted = {
                await happen(one if number % 2 else other, f"camera {number}")
                for number in range(12)
            }
            deliveries = await until(other, webhook.id, *["delivered"] * 12)
    assert {d.attempts for d in deliveries} == {1}
    posts = [receiver.posts.get_nowait() for _ in range(12)]
    assert receiver.posts.empty()
    assert {json.loads(post.body)["data"]["camera_id"] for post in posts} == wanted
