"""What holds of every creation, update and list alike: repeats, etags, pages."""

import asyncio
import base64
import importlib
import json
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

import dfip.control_plane.v1 as contracts
from control_plane.webhooks.tables import WebhookDeliveryRow
from dfip.control_plane.v1 import alert_service_pb2 as alerts_pb
from dfip.control_plane.v1 import control_plane_service_pb2 as cameras_pb
from dfip.control_plane.v1 import person_service_pb2 as persons_pb
from dfip.control_plane.v1 import token_service_pb2 as tokens_pb
from dfip.control_plane.v1 import webhook_service_pb2 as webhooks_pb
from service_runtime.identifiers import new_id
from tests.integration.control_plane.conftest import RTSP, Site
from tests.support.alerts import AlertSite
from tests.support.refusals import refused
from tests.support.sightings import Reports, report

Code = grpc.StatusCode
WEEK_S = 7 * 86_400
PACKAGE = "/dfip.control_plane.v1."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Something that can be made and changed.

    Attributes:
        create: The call that makes it.
        request: Makes the request, given a name.
        update: The call that changes it.
        change: Makes the request, given an id and a name.
    """

    create: str
    request: Callable[..., Any]
    update: str
    change: Callable[..., Any]


def camera(name: str, **more: Any) -> Any:
    return cameras_pb.CreateCameraRequest(name=name, connection_string=RTSP, **more)


def rule(name: str, **more: Any) -> Any:
    return alerts_pb.CreateAlertRuleRequest(name=name, kind="unknown_seen", **more)


def webhook(name: str, **more: Any) -> Any:
    # disabled, so that nobody asks for the address of its name
    return webhooks_pb.CreateWebhookRequest(
        name=name, url="https://pager.example/hook", enabled=False, **more
    )


KINDS = {
    "camera": Kind(
        create="ControlPlaneService/CreateCamera",
        request=camera,
        update="ControlPlaneService/UpdateCamera",
        change=lambda id_, **more: cameras_pb.UpdateCameraRequest(camera_id=id_, **more),
    ),
    "person": Kind(
        create="PersonService/CreatePerson",
        request=lambda name, **more: persons_pb.CreatePersonRequest(name=name, **more),
        update="PersonService/UpdatePerson",
        change=lambda id_, **more: persons_pb.UpdatePersonRequest(person_id=id_, **more),
    ),
    "rule": Kind(
        create="AlertService/CreateAlertRule",
        request=rule,
        update="AlertService/UpdateAlertRule",
        change=lambda id_, **more: alerts_pb.UpdateAlertRuleRequest(rule_id=id_, **more),
    ),
    "watch list": Kind(
        create="AlertService/CreateWatchList",
        request=lambda name, **more: alerts_pb.CreateWatchListRequest(name=name, **more),
        update="AlertService/UpdateWatchList",
        change=lambda id_, **more: alerts_pb.UpdateWatchListRequest(watch_list_id=id_, **more),
    ),
    "webhook": Kind(
        create="WebhookService/CreateWebhook",
        request=webhook,
        update="WebhookService/UpdateWebhook",
        change=lambda id_, **more: webhooks_pb.UpdateWebhookRequest(webhook_id=id_, **more),
    ),
}


def methods() -> Iterator[tuple[str, Any]]:
    """Return every RPC of the control plane, as ``Service/Method``."""
    for module in pkgutil.iter_modules(contracts.__path__, f"{contracts.__name__}."):
        if module.name.endswith("_service_pb2"):
            descriptor = importlib.import_module(module.name).DESCRIPTOR
            for service in descriptor.services_by_name.values():
                for method in service.methods:
                    yield f"{service.name}/{method.name}", method


def asking_for(field: str) -> list[str]:
    """Return the RPCs whose request has a field."""
    return [name for name, method in METHODS.items() if field in method.input_type.fields_by_name]


METHODS = dict(methods())
LISTS = asking_for("page_token")


class Caller:
    """Calls any RPC by its name, as an administrator."""

    def __init__(self, site: Site) -> None:
        self._channel = site.running.channel()

    async def __call__(self, name: str, request: Any) -> Any:
        message = message_of(METHODS[name].output_type)
        call = self._channel.unary_unary(
            PACKAGE + name,
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=message.FromString,
        )
        return await call(request)

    async def page(self, name: str, **fields: Any) -> str:
        """Ask for a page and return the token of the next one."""
        request = message_of(METHODS[name].input_type)(**fields)
        if name != "ControlPlaneService/ListCameras":
            return str((await self(name, request)).next_page_token)
        # the bare list: a stream, and the token beside it
        call = self._channel.unary_stream(
            PACKAGE + name,
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=lambda data: data,
        )(request)
        async for _ in call:
            pass
        metadata = {str(key): str(value) for key, value in await call.initial_metadata()}
        return metadata.get("x-next-page-token", "")


def message_of(descriptor: Any) -> Any:
    """Return the class of a message."""
    module = descriptor.file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
    return getattr(importlib.import_module(module), descriptor.name)


def test_the_table_has_every_creation_that_may_be_repeated() -> None:
    creations = {name for name in asking_for("request_id") if "/Create" in name}
    assert creations == {kind.create for kind in KINDS.values()}
    changes = {name for name in asking_for("etag") if "/Update" in name}
    assert changes == {kind.update for kind in KINDS.values()}


async def test_a_repeated_creation_makes_one_for_a_week(site: Site) -> None:
    call = Caller(site)
    made: dict[str, str] = {}
    for noun, kind in KINDS.items():
        # of every kind the same id is a request of its own
        asked = kind.request("first", request_id="r-1")
        together = await asyncio.gather(*(call(kind.create, asked) for _ in range(3)))
        (made[noun],) = {answer.data.id for answer in together}
        with refused(Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
            await call(kind.create, kind.request("second", request_id="r-1"))
        without = [await call(kind.create, kind.request("first")) for _ in range(2)]
        assert len({made[noun], *(answer.data.id for answer in without)}) == 3, noun

    await site.clock.advance(WEEK_S - 60)
    await site.running.control_plane.parts.retention.once()
    call = Caller(site)  # with a token of today
    for noun, kind in KINDS.items():
        again = await call(kind.create, kind.request("first", request_id="r-1"))
        assert again.data.id == made[noun]
    await site.clock.advance(120)
    await site.running.control_plane.parts.retention.once()
    for noun, kind in KINDS.items():
        later = await call(kind.create, kind.request("second", request_id="r-1"))
        assert later.data.id != made[noun]


async def test_a_change_of_what_somebody_else_changed_is_refused(site: Site) -> None:
    call = Caller(site)
    for noun, kind in KINDS.items():
        made = (await call(kind.create, kind.request("first"))).data
        assert made.etag, noun
        changed = (await call(kind.update, kind.change(made.id, name="new", etag=made.etag))).data
        assert changed.etag not in {"", made.etag}, noun
        with refused(Code.ABORTED, "ETAG_MISMATCH"):
            await call(kind.update, kind.change(made.id, name="other", etag=made.etag))
        unchanged = (await call(kind.update, kind.change(made.id, etag=changed.etag))).data
        assert (unchanged.name, unchanged.etag) == ("new", changed.etag), noun
        blind = (await call(kind.update, kind.change(made.id, name="blind"))).data
        assert blind.name == "blind", noun


async def deliver(site: Site, webhook_id: str) -> None:
    """Write down a delivery that is over."""
    async with site.running.control_plane.parts.database.write() as tx:
        tx.session.add(
            WebhookDeliveryRow(
                id=new_id(), webhook_id=webhook_id, event_type="webhook.test", state="delivered",
                attempts=1, failures=0, failure_reason="", created_at=tx.now, finished_at=tx.now,
            )
        )  # fmt: skip


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    code = Code.OK
    try:
        await call
    except grpc.aio.AioRpcError as error:
        code = error.code()
    return code


def broken(token: str) -> Iterator[str]:
    """Return tokens that were made of a real one by somebody who looked inside."""
    values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    keys = values[1:]
    for key in ("", "\0", "\ud800", "9" * 400, "9999-12-31T23:59:59.999999+00:00", "0001-01-01"):
        for place in range(len(keys)):
            yield packed([values[0], *keys[:place], key, *keys[place + 1 :]])
    yield packed(values[:1])
    yield packed([*values, "more"])
    yield packed(["", *keys])
    yield packed({"a": 1})


def packed(values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


async def test_pages_are_bounded_and_tokens_of_others_are_refused(site: Site) -> None:
    call = Caller(site)
    for kind in KINDS.values():
        for name in ("one", "two"):
            made = (await call(kind.create, kind.request(name))).data
    for subject in ("one", "two"):
        issue = tokens_pb.IssueTokenRequest(role="viewer", subject=subject)
        await call("TokenService/IssueToken", issue)
        await deliver(site, made.id)
    reports = await Reports.open(site.running)
    await reports.send(report("unknown"), report("unknown"))
    await AlertSite.of(site.running).judged()
    fields: dict[str, dict[str, str]] = {name: {} for name in LISTS}
    fields["WebhookService/ListDeliveries"] = {"webhook_id": made.id}
    tokens = {name: await call.page(name, page_size=1, **fields[name]) for name in LISTS}
    assert all(tokens.values()), [name for name, token in tokens.items() if not token]
    for name in LISTS:
        given = fields[name]
        with refused(Code.INVALID_ARGUMENT, "REQUEST_INVALID"):
            await call.page(name, page_size=1001, **given)
        with refused(Code.INVALID_ARGUMENT, "REQUEST_INVALID"):
            await call.page(name, page_token="x" * 2049, **given)
        await call.page(name, page_size=1000, page_token=tokens[name], **given)
        # cameras and their runtimes are one list
        foreign = set(tokens.values()) - {tokens[name]}
        for token in ("forged", "W10", "é", *foreign):
            with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"):
                await call.page(name, page_token=token, **given)
        for token in broken(tokens[name]):
            assert await code_of(call.page(name, page_token=token, **given)) in {
                Code.OK, Code.INVALID_ARGUMENT,
            }, (name, token)  # fmt: skip
