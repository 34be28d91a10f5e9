"""Media tickets, through a real Envoy: what they let in to, and that it is nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
import pytest_asyncio

from dfip.control_plane.v1 import (
    audit_service_pb2,
    control_plane_service_pb2,
    person_service_pb2,
    sighting_service_pb2,
    token_service_pb2,
)
from dfip.control_plane.v1.audit_service_pb2_grpc import AuditServiceStub
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.person_service_pb2_grpc import PersonServiceStub
from dfip.control_plane.v1.sighting_service_pb2_grpc import SightingServiceStub
from dfip.control_plane.v1.token_service_pb2_grpc import TokenServiceStub
from dfip.options.v1 import policy_pb2
from service_runtime import media_tickets
from service_runtime.authentication import Caller, Ticket
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.edge import RunningEdge, running_edge
from tests.support.forgeries import forged_tokens
from tests.support.sightings import CONTEXT, Reports, report
from tests.support.tokens import TestAuthority

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "3f0c2a9e-8d43-4d57-9d0e-0f6f0f6c8a11"
PICTURE = b"\xff\xd8\xffa face"


@dataclass(slots=True, kw_only=True)
class World:
    """A site behind its edge, with two cameras that each saw somebody."""

    site: RunningControlPlane
    edge: RunningEdge
    log: Path
    client: httpx.AsyncClient
    workers: list[Reports]
    sightings: list[str]
    told: list[str] = field(default_factory=list)

    async def issue(self, role: str = "viewer", **fields: Any) -> tuple[str, str]:
        """Make a token; returns it and its id."""
        stub: Any = TokenServiceStub(self.site.channel())
        request = token_service_pb2.IssueTokenRequest(role=role, **fields)
        data = (await stub.IssueToken(request)).data
        return data.token, data.id

    async def ticket(
        self, purpose: str = "sighting_image", object_id: str | None = None, token: str = ""
    ) -> dict[str, str]:
        """Ask for a ticket over REST; for the first sighting where nothing else is said."""
        answer = await self.client.post(
            "/media-tickets",
            json={
                "purpose": purpose,
                "object_id": self.sightings[0] if object_id is None else object_id,
            },
            headers=bearer(token or self.site.token("viewer").reveal()),
        )
        assert answer.status_code == 201, answer.text
        body = answer.json()
        assert body.keys() == {"success", "message", "data"}
        return dict(body["data"])

    async def get(self, path: str, **headers: str) -> httpx.Response:
        response = await self.client.get(path, headers=headers)
        self.told.append(response.text)
        return response

    async def refusal(self, path: str, **headers: str) -> tuple[int, str]:
        response = await self.get(path, **headers)
        assert response.json().keys() == {"code", "message", "details"}
        return response.status_code, response.json()["details"][0]["reason"]

    def signed(self, *, ends_in_s: float = 60, **changes: Any) -> str:
        """Sign a ticket as the site does, changed."""
        now = datetime.now(UTC)
        caller = Caller(
            subject="Ada",
            role=policy_pb2.ROLE_VIEWER,
            camera_id=None,
            epoch=None,
            token_id="t",
            expires_at=now + timedelta(hours=1),
            issued_at=now - timedelta(hours=1),
        )
        ticket = Ticket(purpose="sighting_image", object_id=self.sightings[0])
        claims = media_tickets.ticket_claims(caller, ticket, cameras=None, now=now)
        claims["exp"] = int(now.timestamp() + ends_in_s)
        claims |= changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return self.site.control_plane.parts.issuer.sign(kept).reveal()

    @property
    def image(self) -> str:
        return f"/sightings/{self.sightings[0]}/image"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("tickets")
    async with (
        running_control_plane(folder) as site,
        running_edge(folder, clusters={"control_plane": site.target}) as edge,
        edge.client() as client,
    ):
        workers = [await Reports.open(site), await Reports.open(site)]
        sightings = []
        for worker in workers:
            one = report("unknown", crop=PICTURE, context=CONTEXT)
            await worker.send(one)
            sightings.append(one.id)
        yield World(
            site=site,
            edge=edge,
            log=folder / "envoy.log",
            client=client,
            workers=workers,
            sightings=sightings,
        )
        assert not site.stopping, "a root task of the control plane crashed"


async def test_a_picture_is_shown_by_its_address_alone_and_that_is_the_callers_look(
    world: World,
) -> None:
    token, token_id = await world.issue("operator", subject="Ada Lovelace")
    ticket = await world.ticket(token=token)
    left_s = (datetime.fromisoformat(ticket["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 50 < left_s <= media_tickets.LIFETIME_S
    assert ticket["url"] == f"{world.image}?ticket={ticket['ticket']}"
    response = await world.get(ticket["url"])
    assert (response.status_code, response.content) == (200, PICTURE)
    assert response.headers["content-type"] == "image/jpeg"
    audit: Any = AuditServiceStub(world.site.channel())
    request = audit_service_pb2.ListAuditEntriesRequest(actor="Ada Lovelace", outcome="done")
    (row,) = (await audit.ListAuditEntries(request)).data
    assert (row.action, row.token_id, row.role) == ("sighting_image.get", token_id, "viewer")
    assert row.object.id == world.sightings[0]


async def test_the_whole_picture_has_tickets_of_its_own(world: World) -> None:
    face, context = await world.ticket(), await world.ticket("sighting_context")
    response = await world.get(context["url"])
    assert (response.status_code, response.content) == (200, CONTEXT)
    path = f"/sightings/{world.sightings[0]}/context"
    assert context["url"] == f"{path}?ticket={context['ticket']}"
    for other in (f"{path}?ticket={face['ticket']}", f"{world.image}?ticket={context['ticket']}"):
        assert await world.refusal(other) == (403, "TICKET_FOR_SOMETHING_ELSE")


async def events(world: World, url: str, *, until: str) -> str:
    """Have something happen at both cameras, and read until a text comes."""
    text = ""
    async with asyncio.timeout(10), world.client.stream("GET", url) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        chunks = response.aiter_text()
        while "id:" not in text:
            text += await anext(chunks)
        persons: Any = PersonServiceStub(world.site.channel())
        await persons.CreatePerson(person_service_pb2.CreatePersonRequest(name="Ada"))
        for worker in reversed(world.workers):
            await worker.send(report("unknown"))
        while until not in text:
            text += await anext(chunks)
    return text


async def test_events_come_by_their_address_alone_of_one_camera_or_of_all(world: World) -> None:
    first, second = (worker.camera_id for worker in world.workers)
    all_of_them = await world.ticket("events", "")
    text = await events(world, all_of_them["url"], until=first)
    assert second in text
    assert "person.created" in text
    of_one = await world.ticket("events", first)
    text = await events(world, of_one["url"], until=first)
    assert second not in text
    assert "person.created" not in text
    limited, _ = await world.issue(cameras=[first])
    of_limited = await world.ticket("events", "", token=limited)
    text = await events(world, of_limited["url"], until=first)
    assert second not in text
    assert "person.created" not in text


async def test_a_ticket_is_for_one_thing_in_one_way(world: World) -> None:
    first, second = (worker.camera_id for worker in world.workers)
    picture = (await world.ticket())["ticket"]
    of_all = (await world.ticket("events", ""))["ticket"]
    of_one = (await world.ticket("events", first))["ticket"]
    for path in (
        f"/sightings/{world.sightings[1]}/image?ticket={picture}",
        f"/events?ticket={picture}",
        f"{world.image}?ticket={of_all}",
        f"{world.image}?ticket={of_one}",
        f"/events?ticket={of_one}",
        f"/events?camera_id={second}&ticket={of_one}",
        f"/events?camera_id={first}&ticket={of_all}",
    ):
        assert await world.refusal(path) == (403, "TICKET_FOR_SOMETHING_ELSE"), path


async def test_tickets_and_tokens_do_not_do_for_each_other(world: World) -> None:
    token = world.site.token("admin").reveal()
    ticket = (await world.ticket())["ticket"]
    for path in (f"{world.image}?ticket={token}", f"/events?ticket={token}"):
        assert await world.refusal(path) == (401, "TOKEN_INVALID"), path
    for name in ("token", "access_token", "authorization"):
        assert await world.refusal(f"{world.image}?{name}={ticket}") == (401, "TOKEN_MISSING")
    for path in (world.image, "/cameras", "/events", f"/sightings/{world.sightings[0]}"):
        assert await world.refusal(path, **bearer(ticket)) == (401, "TOKEN_INVALID"), path
    for path in ("/cameras", f"/sightings/{world.sightings[0]}", "/sightings", "/events.ndjson"):
        assert await world.refusal(f"{path}?ticket={ticket}") == (401, "TOKEN_MISSING"), path
    # a header of the inside, said by somebody outside
    stranger = {media_tickets.KEY: ticket}
    assert await world.refusal(world.image, **stranger) == (401, "TOKEN_MISSING")
    both = await world.refusal(f"{world.image}?ticket={ticket}", **bearer(token))
    assert both == (401, "TWO_TOKENS")
    made = await world.client.post(
        f"/media-tickets?ticket={ticket}", json={"purpose": "events", "object_id": ""}
    )
    assert made.status_code == 401


async def test_grpc_takes_no_ticket_in_place_of_a_token(world: World) -> None:
    """At the edge, and behind it, where somebody may send the header of the inside."""
    ticket = (await world.ticket())["ticket"]
    token = world.site.token("admin").reveal()
    image = sighting_service_pb2.GetSightingImageRequest(sighting_id=world.sightings[0])
    cameras = control_plane_service_pb2.GetCameraRequest(camera_id=world.workers[0].camera_id)
    target = world.site.target
    async with world.edge.channel() as outside, grpc.aio.insecure_channel(target) as inside:
        for channel, metadata, rpc in (
            (outside, ("authorization", f"Bearer {ticket}"), "image"),
            (outside, (media_tickets.KEY, ticket), "image"),
            (inside, ("authorization", f"Bearer {ticket}"), "image"),
            (inside, (media_tickets.KEY, token), "image"),
            (inside, (media_tickets.KEY, "e30.e30.e30"), "image"),
            (inside, (media_tickets.KEY, ticket), "camera"),
        ):
            sightings: Any = SightingServiceStub(channel)
            known: Any = ControlPlaneServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                if rpc == "image":
                    await sightings.GetSightingImage(image, metadata=[metadata])
                else:
                    await known.GetCamera(cameras, metadata=[metadata])
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        sightings = SightingServiceStub(inside)
        shown = await sightings.GetSightingImage(image, metadata=[(media_tickets.KEY, ticket)])
        assert shown.data == PICTURE


async def test_a_ticket_ends_and_must_be_whole(world: World, tmp_path: Path) -> None:
    assert (await world.get(f"{world.image}?ticket={world.signed()}")).content == PICTURE
    over = await world.refusal(f"{world.image}?ticket={world.signed(ends_in_s=-10)}")
    assert over == (401, "TOKEN_EXPIRED")
    # what the edge lets through, the service refuses
    changes: dict[str, Any]
    for changes in (
        {"jti": None}, {"purpose": None}, {"object": None}, {"token_id": None}, {"sub": None},
        {"token_iat": None}, {"token_exp": None}, {"token_iss": None}, {"token_exp": "never"},
        {"purpose": ["sighting_image"]}, {"object": 7}, {"cameras": world.workers[0].camera_id},
        {"cameras": []},
    ):  # fmt: skip
        response = await world.get(f"{world.image}?ticket={world.signed(**changes)}")
        assert response.status_code == (404 if changes == {"cameras": []} else 401), changes
    issuer, jwks = world.site.control_plane.parts.issuer, world.site.settings.jwks_file
    forged = forged_tokens(TestAuthority.with_key_of(issuer, jwks))
    stranger = TestAuthority(tmp_path, key_id=issuer.key_id)
    claims = jwt.decode(world.signed(), options={"verify_signature": False})
    forged["other site's under our key's name"] = stranger.token("viewer", **claims)
    for name, text in (*forged.items(), ("empty", ""), ("nonsense", "x"), ("long", "e30." * 500)):
        response = await world.client.get(world.image, params={"ticket": text})
        assert response.status_code == 401, name


async def test_of_two_tickets_a_wrong_one_lets_nobody_in(world: World) -> None:
    good, bad = (await world.ticket())["ticket"], world.signed(ends_in_s=-10)
    for query in (f"ticket={bad}&ticket={good}", f"ticket=&ticket={good}"):
        assert (await world.get(f"{world.image}?{query}")).status_code == 401, query
    # only the first is looked at, by both; the second reaches nobody
    assert (await world.get(f"{world.image}?ticket={good}&ticket={bad}")).status_code == 200


async def test_what_ends_the_token_ends_its_tickets(world: World) -> None:
    by_id, token_id = await world.issue(subject="one")
    by_subject, _ = await world.issue(subject="two")
    kept, _ = await world.issue(subject="three")
    tickets = [await world.ticket(token=token) for token in (by_id, by_subject, kept)]
    for ticket in tickets:
        assert (await world.get(ticket["url"])).status_code == 200
    tokens: Any = TokenServiceStub(world.site.channel())
    await tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=token_id))
    await tokens.RevokeSubjectTokens(token_service_pb2.RevokeSubjectTokensRequest(subject="two"))
    assert await world.refusal(tickets[0]["url"]) == (401, "TOKEN_REVOKED")
    assert await world.refusal(tickets[1]["url"]) == (401, "TOKEN_REVOKED")
    assert (await world.get(tickets[2]["url"])).status_code == 200
    short = world.site.token("viewer", lifetime_s=5).reveal()
    ends = datetime.fromisoformat((await world.ticket(token=short))["expires_at"])
    assert ends <= datetime.now(UTC) + timedelta(seconds=5)


async def test_a_stream_that_a_ticket_opened_ends_with_the_token(world: World) -> None:
    token, token_id = await world.issue(subject="watcher")
    ticket = await world.ticket("events", "", token=token)
    async with asyncio.timeout(10), world.client.stream("GET", ticket["url"]) as response:
        chunks = response.aiter_text()
        assert "retry" in await anext(chunks)
        tokens: Any = TokenServiceStub(world.site.channel())
        await tokens.RevokeToken(token_service_pb2.RevokeTokenRequest(token_id=token_id))
        with pytest.raises((StopAsyncIteration, httpx.RemoteProtocolError)):
            while True:
                await anext(chunks)


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"purpose": "snapshots"}, 400, "purpose"),
        ({"purpose": ""}, 400, "purpose"),
        ({"purpose": "sighting_image"}, 400, "object_id"),
        ({"purpose": "sighting_image", "object_id": "x"}, 404, ""),
        (
            {"purpose": "sighting_image", "object_id": NOBODY},
            404,
            "",
        ),
        ({"purpose": "events", "object_id": NOBODY}, 404, ""),
    ],
)
async def test_what_is_not_there_gets_no_ticket(
    world: World, asked: dict[str, str], status: int, field: str
) -> None:
    headers = bearer(world.site.token("viewer").reveal())
    response = await world.client.post("/media-tickets", json=asked, headers=headers)
    assert response.status_code == status
    if field:
        (violations,) = (
            detail["field_violations"]
            for detail in response.json()["details"]
            if "field_violations" in detail
        )
        assert violations[0]["field"] == field


async def test_a_ticket_is_written_nowhere(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in what anybody is told, nor in a log or the audit, in whatever goes wrong."""
    ticket = await world.ticket()
    text = ticket["ticket"]
    broken = f"{text[:-6]}AAAAAA"
    for path in (
        ticket["url"],
        f"{world.image}?ticket={text}&nonsense=1",
        f"/sightings/{world.sightings[1]}/image?ticket={text}",
        f"/sightings/x%2Fy/image?ticket={text}",
        f"/cameras?ticket={text}",
        f"/nowhere?ticket={text}",
        f"{world.image}?ticket={broken}",
    ):
        await world.get(path)
    token = world.site.token("viewer").reveal()
    await world.get(f"/cameras?ticket={text}", **bearer(token))
    response = await world.client.put(f"{world.image}?ticket={text}", headers=bearer(token))
    world.told.append(response.text + str(response.headers.multi_items()))
    await world.site.control_plane.flush_audit()
    audit: Any = AuditServiceStub(world.site.channel())
    rows = await audit.ListAuditEntries(audit_service_pb2.ListAuditEntriesRequest(page_size=1000))
    out, err = capfd.readouterr()
    for place in (*world.told, world.log.read_text(), str(rows), out, err):
        for part in (text.split(".")[1], text.split(".")[2], broken):
            assert part not in place
    assert len(world.told) > 8
