"""Alerts and webhooks: SIGKILL of a real control plane on the way from a sighting to an answer.

A worker reports sightings until the process dies, and to the next one what was not acknowledged.
Whoever comes after the last kill must have raised one alert for each sighting, and have posted each
alert to the receiver at least once, always under the same id.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
from sqlalchemy import func, select

from control_plane.events.tables import EventRow
from control_plane.webhooks.courier import LEASE
from control_plane.webhooks.tables import WebhookCursorRow
from dfip.control_plane.v1 import alert_pb2, webhook_pb2, webhook_service_pb2
from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1.webhook_service_pb2_grpc import WebhookServiceStub
from service_runtime.clients import MeshChannel, StaticToken, open_channel
from service_runtime.secret import Secret
from tests.faults.crashing_alerts import NO_BUG, POINTS
from tests.faults.row import Figures, Row
from tests.support.alerts import AlertSite
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.engines import POSTGRES, SQLITE, database_url, engine_for_all
from tests.support.receiver import Receiver, receiving
from tests.support.sightings import Reports, report
from tests.support.virtual_clock import VirtualClock, settle

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "alerts and webhooks"
NO_BUGS: Final[Mapping[str, str]] = {}
_PATIENCE_S: Final = 30
# it dies long before
_MOST_SIGHTINGS: Final = 10_000
_WEBHOOKS: Final[dict[str, Any]] = {"webhook_networks": "127.0.0.0/8", "webhook_http": True}


def _is_gone(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether the other side died; gRPC hides that behind a write that raced with it."""
    raced = error.code() is grpc.StatusCode.INTERNAL and "from Core" in str(error.details())
    return raced or error.code() is grpc.StatusCode.UNAVAILABLE


class Client:
    """Channels to a control plane in another process."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._channels: list[MeshChannel] = []

    def channel(self, role: str = "", *, token: str | None = None) -> MeshChannel:
        del role  # nobody here can mint a token
        held = None if token is None else StaticToken(Secret(token))
        self._channels.append(open_channel(f"unix:{self._socket}", token=held))
        return self._channels[-1]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was reported, and what came of it.

    Attributes:
        kills: How often a control plane was killed.
        reported: Sightings that were acknowledged.
        alerts: The sighting of each alert, by the alert's id.
        deliveries: Ids of the deliveries that the site knows.
        posts: The alert and the webhook-id of each request that arrived.
    """

    kills: int
    reported: frozenset[str]
    alerts: dict[str, str]
    deliveries: tuple[str, ...]
    posts: tuple[tuple[str, str], ...]

    def broken(self) -> dict[str, int]:
        """Count what must never be."""
        ids: dict[str, set[str]] = {}
        for alert_id, webhook_id in self.posts:
            ids.setdefault(alert_id, set()).add(webhook_id)
        known = set(self.deliveries)
        return {
            "alerts_lost": len(self.reported - set(self.alerts.values())),
            "alerts_double": len(self.alerts) - len(set(self.alerts.values())),
            "deliveries_double": max(0, len(self.deliveries) - len(self.alerts)),
            "never_posted": len(set(self.alerts) - set(ids)),
            "ids_changed": sum(len(told) > 1 or not told <= known for told in ids.values()),
            "alerts_unknown": len(set(ids) - set(self.alerts)),
        }

    def figures(self) -> Counter[str]:
        """Return all there is to count."""
        return Counter(
            kills=self.kills,
            sightings=len(self.reported),
            alerts=len(self.alerts),
            posts=len(self.posts),
            posts_again=len(self.posts) - len({alert for alert, _ in self.posts}),
            **self.broken(),
        )


@dataclass(slots=True, kw_only=True)
class World:
    """A site on disk, the worker that reports to it, and the receiver it posts to."""

    folder: Path
    socket: Path
    receiver: Receiver
    reports: Reports
    rule_id: str
    webhook_id: str
    posts: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)

    async def report(self, client: Client | RunningControlPlane, count: int) -> None:
        """Report sightings until so many are acknowledged, or the other side dies."""
        self.reports.site = client
        try:
            await self.reports.connect(self.reports.session_id)
            for _ in range(count):
                if not self.unsent:
                    self.unsent.append(str(uuid.uuid4()))
                    self.reports.sequence += 1
                seen = report("unknown", id=self.unsent[0])
                await self.reports.send_as(self.reports.sequence, seen)
                self.reported.add(self.unsent.pop())
        except grpc.aio.AioRpcError as error:
            if not _is_gone(error):
                raise
        except asyncio.InvalidStateError:
            pass  # it died between two messages

    async def kill(self, point: str, number: int, bug: str) -> None:
        """Report to a control plane until it is killed at a point."""
        async with self._process(point, number, bug) as process:
            client = Client(self.socket)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    if await _serves(client, process):
                        await self.report(client, _MOST_SIGHTINGS)
                    assert await process.wait() == -signal.SIGKILL
            finally:
                await client.close()

    async def survive(self, kills: int) -> Outcome:
        """Start a control plane that lives, report to it as well, and see what is there."""
        # leases of deliveries that were on their way are over
        clock = VirtualClock(datetime.now(UTC) + 2 * LEASE)
        async with running_control_plane(self.folder, clock=clock, **_WEBHOOKS) as running:
            await self.report(running, 2)
            site = AlertSite.of(running)
            async with asyncio.timeout(_PATIENCE_S):
                await site.judged()
                await self._until_posted(site)
            assert not running.stopping, "a root task of the control plane crashed"
            alerts = await _alerts(site, self.rule_id)
            deliveries = await self._deliveries(running)
        assert not self.unsent, "the survivor acknowledged nothing"
        self._read_posts()
        return Outcome(
            kills=kills,
            reported=frozenset(self.reported),
            alerts={alert.id: alert.sighting_id for alert in alerts},
            deliveries=tuple(delivery.id for delivery in deliveries),
            posts=tuple(self.posts),
        )

    async def _until_posted(self, site: AlertSite) -> None:
        """Wait until every alert has become a delivery, and no delivery is to be posted."""
        while True:
            async with site.database.read() as session:
                cursor = await session.scalar(select(WebhookCursorRow.sequence)) or 0
                newest = select(func.max(EventRow.sequence)).where(EventRow.type == "alert.raised")
                told = await session.scalar(newest) or 0
            if cursor >= told and not await self._deliveries(site.site, state="pending"):
                return
            await settle()

    async def _deliveries(
        self, running: RunningControlPlane, state: str = ""
    ) -> Sequence[webhook_pb2.WebhookDelivery]:
        stub = WebhookServiceStub(running.channel())
        request = webhook_service_pb2.ListDeliveriesRequest(
            webhook_id=self.webhook_id, state=state, page_size=500
        )
        listed: Sequence[webhook_pb2.WebhookDelivery] = (await stub.ListDeliveries(request)).data
        return listed

    def _read_posts(self) -> None:
        while not self.receiver.posts.empty():
            post = self.receiver.posts.get_nowait()
            alert_id = json.loads(post.body)["data"]["alert"]["id"]
            self.posts.append((alert_id, post.headers["webhook-id"]))

    @asynccontextmanager
    async def _process(
        self, point: str, number: int, bug: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        environ = os.environ | {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}",
            "DFIP_LISTEN": f"unix:{self.socket}",
            "DFIP_DATA_DIR": str(self.folder / "data"),
            "DFIP_TOKENS_DIR": str(self.folder / "tokens"),
            "DFIP_JWKS_FILE": str(self.folder / "jwks.json"),
            "DFIP_MEDIA_ROOT": str(self.folder / "media"),
            "DFIP_INDEX_TARGET": f"unix:{self.folder}/index.sock",
            "DFIP_LOG_LEVEL": "error",
            "DFIP_SIGHTING_DAYS": "36500",
            "DFIP_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "DFIP_WEBHOOK_HTTP": "1",
        }
        if (url := await database_url(self.folder)) is not None:
            environ["DFIP_DATABASE_URL"] = url.reveal()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.crashing_alerts", point, str(number), bug),
            env=environ,
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def world_on(folder: Path) -> AsyncIterator[World]:
    """Make a site with a camera, a rule and a webhook, and stop it."""
    # a test's folders are too long for the name of a socket
    sockets = Path(tempfile.mkdtemp(prefix="dfip-"))
    try:
        async with receiving() as receiver:
            async with running_control_plane(folder, **_WEBHOOKS) as running:
                reports = await Reports.open(running)
                rule = await AlertSite.of(running).rule("unknown_seen", cooldown_s=0)
                request = webhook_service_pb2.CreateWebhookRequest(
                    name="pager", url=receiver.url(), event_types=["alert.raised"]
                )
                made = await WebhookServiceStub(running.channel()).CreateWebhook(request)
            yield World(
                folder=folder,
                socket=sockets / "c",
                receiver=receiver,
                reports=reports,
                rule_id=rule.id,
                webhook_id=made.data.id,
            )
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


async def killed_again_and_again(
    folder: Path, *, seed: int, points: Sequence[str] = POINTS, bugs: Mapping[str, str] = NO_BUGS
) -> Outcome:
    """Kill a control plane at each of the points, in an order that the seed decides.

    Args:
        folder: Where the site is.
        seed: Decides the order, and how often a point is passed before.
        points: Where to kill it.
        bugs: What is planted into the control plane that is killed at a point.
    """
    dice = random.Random(seed)
    async with world_on(folder) as world:
        for point in dice.sample(points, len(points)):
            await world.kill(point, dice.randint(1, 3), bugs.get(point, NO_BUG))
        return await world.survive(len(points))


async def _serves(client: Client, process: asyncio.subprocess.Process) -> bool:
    """Wait until it serves; False where what was left to do killed it before."""
    ready = asyncio.ensure_future(client.channel().channel_ready())
    died = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({ready, died}, return_when=asyncio.FIRST_COMPLETED)
        return not died.done()
    finally:
        for waiting in (ready, died):
            waiting.cancel()
        await asyncio.gather(ready, died, return_exceptions=True)


async def _alerts(site: AlertSite, rule_id: str) -> list[alert_pb2.Alert]:
    found: list[alert_pb2.Alert] = []
    token = ""
    while True:
        page = await site.alerts.ListAlerts(
            pb.ListAlertsRequest(rule_id=rule_id, page_token=token, page_size=500)
        )
        found += page.data
        token = page.next_page_token
        if not token:
            return found


async def run(seed: int, size: int) -> Figures:
    """Run the whole row."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        for engine in (SQLITE, POSTGRES):
            with engine_for_all(engine):
                for turn in range(size):
                    folder = Path(name) / f"{engine} {turn}"
                    outcome = await killed_again_and_again(folder, seed=seed + turn)
                    broken = {what: count for what, count in outcome.broken().items() if count}
                    assert not broken, broken
                    found.update(outcome.figures())
    return dict(found)


ROW = Row(name=NAME, faults=tuple(f"sigkill {point}" for point in POINTS), run=run)
