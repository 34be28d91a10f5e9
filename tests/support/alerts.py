"""A site with alerts: people, cameras whose workers report, rules, and what they raised."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from control_plane.alerts.judge import AlertJudge
from control_plane.database import Database
from dfip.control_plane.v1 import alert_pb2, alert_service_pb2_grpc, person_service_pb2_grpc
from dfip.control_plane.v1 import alert_service_pb2 as pb
from dfip.control_plane.v1 import person_service_pb2 as person_pb
from service_runtime.clock import SystemClock
from tests.support.control_plane import RunningControlPlane


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSite:
    """A control plane, and shorthands for what tests of alerts do again and again."""

    site: RunningControlPlane
    alerts: Any
    persons: Any

    @classmethod
    def of(cls, site: RunningControlPlane) -> "AlertSite":
        return cls(
            site=site,
            alerts=alert_service_pb2_grpc.AlertServiceStub(site.channel("operator")),
            persons=person_service_pb2_grpc.PersonServiceStub(site.channel("admin")),
        )

    @property
    def database(self) -> Database:
        return self.site.control_plane.parts.database

    @property
    def judge(self) -> AlertJudge:
        """Another one who judges, as a second replica would have."""
        return AlertJudge(self.database, SystemClock())

    async def rule(self, kind: str, *, name: str = "rule", **fields: Any) -> alert_pb2.AlertRule:
        """Make a rule; fields of the condition and of the request by their names."""
        condition = {
            key: fields.pop(key)
            for key in list(fields)
            if key in alert_pb2.AlertCondition.DESCRIPTOR.fields_by_name
        }
        request = pb.CreateAlertRuleRequest(name=name, kind=kind, condition=condition, **fields)
        made: pb.CreateAlertRuleResponse = await self.alerts.CreateAlertRule(request)
        return made.data

    async def person(self, name: str = "Ada") -> str:
        made = await self.persons.CreatePerson(person_pb.CreatePersonRequest(name=name))
        return str(made.data.id)

    async def listed(self, **wanted: Any) -> list[alert_pb2.Alert]:
        """Return the alerts once everything that happened was judged, the oldest first."""
        await self.judged()
        found = await self.alerts.ListAlerts(pb.ListAlertsRequest(**wanted))
        return list(reversed(found.data))

    async def judged(self) -> None:
        """Judge what is in the feed now, beside the control plane's own task."""
        while await self.judge.judge_events():
            pass

    async def looked(self) -> list[alert_pb2.Alert]:
        """Return the alerts once the timer was judged too."""
        await self.judged()
        await self.judge.judge_time()
        return await self.listed()


async def until(is_so: Callable[[], bool]) -> None:
    """Let others run until something is so."""
    while True:
        if is_so():
            return
        await asyncio.sleep(0)
