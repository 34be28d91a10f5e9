"""A site on which every change is made, and the shape of a change."""

import itertools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfip.control_plane.v1 import (
    admin_service_pb2_grpc,
    alert_service_pb2_grpc,
    audit_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    sighting_service_pb2_grpc,
    token_service_pb2_grpc,
    webhook_service_pb2_grpc,
)
from tests.support.fake_index import found, vector
from tests.support.people import PeopleSite

PASSWORD = "hunter2"
NOTE = "knows the back door"


class Walk:
    """A site with a client for everything, and the audit as an administrator reads it."""

    def __init__(self, people: PeopleSite) -> None:
        self.people = people
        self._axes = itertools.count()
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

    def new_face(self) -> NDArray[np.float32]:
        """Return a face that nobody has yet; enrolled twice it would be refused."""
        return vector(*[0] * next(self._axes), 1)

    async def face(self) -> tuple[str, str]:
        person = await self.people.person(notes=NOTE)
        picture = self.people.photograph(uuid.uuid4().hex, found(self.new_face()))
        face = await self.people.send(person.id, picture)
        return person.id, face.id


About = tuple[str, str]
Change = Callable[[Walk], Awaitable[tuple[About, About]]]
"""Calls an RPC with success and returns what its entry is about, and what that belongs to."""
Changes = dict[str, tuple[str, Change]]
"""By the RPC: the action that its entry names, and how it is called."""
NOTHING = ("", "")
