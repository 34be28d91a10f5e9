"""A worker's reports for tests: a camera with an epoch, a session, and sightings to send."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

import grpc
import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from dfip.control_plane.v1 import (
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    worker_gateway_service_pb2_grpc,
)
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from dfip.control_plane.v1.worker_gateway_service_pb2 import SightingReport
from dfip.identity_index.v1 import embedding_pb2
from service_runtime.clients import MeshChannel
from tests.support.fake_index import PACK, embedding, vector

CROP = b"\xff\xd8\xff a crop"
CONTEXT = b"\xff\xd8\xff all of the picture"
START = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(seconds: float) -> Timestamp:
    """Return a time, in seconds after ``START``."""
    message = Timestamp()
    message.FromDatetime(START + timedelta(seconds=seconds))
    return message


def report(
    decision: str,
    person_id: str = "",
    *,
    id: str | None = None,  # noqa: A002 - the contract's own word
    revision: int = 1,
    also: str = "",
    crop: bytes = b"",
    context: bytes = b"",
    start: float = 0,
    end: float | None = None,
    face: NDArray[np.float32] | None = None,
    verdict: str = "good",
) -> SightingReport:
    """Return a report, its times in seconds after ``START``."""
    people = [one for one in (person_id, also) if one]
    candidates = [
        embedding_pb2.Candidate(person_id=one, face_id=str(uuid.uuid4()), score=0.9 - rank / 4)
        for rank, one in enumerate(people)
    ]
    return SightingReport(
        id=id or str(uuid.uuid4()),
        track_id=1,
        revision=revision,
        decision=decision,
        person_id=person_id,
        score=candidates[0].score if candidates else 0,
        threshold=0.6,
        margin=0.25 if also else None,
        started_at=stamp(start),
        ended_at=stamp(start + 1 if end is None else end),
        frames=5,
        box=embedding_pb2.BoundingBox(x=0.1, y=0.2, width=0.3, height=0.4),
        quality=embedding_pb2.FaceQuality(score=0.8, width_px=90, verdict=verdict),
        evidence={
            "candidates": candidates,
            "pack_id": PACK,
            "threshold_version": "1",
            "votes": 3,
            "latency_ms": 12,
        },
        embedding=embedding(vector(1) if face is None else face),
        crop=crop,
        context=context,
    )


class Site(Protocol):
    """A control plane in whatever process."""

    def channel(self, role: str = ..., *, token: str | None = None) -> MeshChannel:
        """Open a channel as a role, or with a token that was issued before."""
        ...


@dataclass(kw_only=True, slots=True)
class Reports:
    """A worker of a camera that reports over the gateway, and waits for each acknowledgement."""

    site: Site
    camera_id: str
    token: str = ""
    session_id: str = ""
    sequence: int = 0
    stream: Any = None

    @classmethod
    async def open(cls, site: Site) -> Self:
        """Register a camera and start a worker of it."""
        cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(site.channel("admin"))
        created = await cameras.CreateCamera(
            control_plane_service_pb2.CreateCameraRequest(
                name="door", connection_string="rtsp://camera.example/1", desired_state="running"
            )
        )
        reports = cls(site=site, camera_id=created.data.id)
        await reports.next_epoch()
        return reports

    async def next_epoch(self) -> None:
        """Have the manager start another worker: a new epoch, a new session."""
        manager = control_plane_service_pb2_grpc.ControlPlaneServiceStub(
            self.site.channel("manager")
        )
        issued = await manager.IssueWorkerToken(
            control_plane_service_pb2.IssueWorkerTokenRequest(camera_id=self.camera_id)
        )
        self.token = issued.token
        await self.connect(str(uuid.uuid4()))
        self.sequence = 0

    async def delete_camera(self) -> None:
        """Remove the camera."""
        cameras = control_plane_service_pb2_grpc.ControlPlaneServiceStub(self.site.channel("admin"))
        await cameras.DeleteCamera(
            control_plane_service_pb2.DeleteCameraRequest(camera_id=self.camera_id)
        )

    async def connect(self, session_id: str) -> None:
        """Open a stream, for a new session or one that was cut off."""
        self.session_id = session_id
        gateway = worker_gateway_service_pb2_grpc.WorkerGatewayServiceStub(
            self.site.channel(token=self.token)
        )
        self.stream = gateway.Connect()
        hello = gateway_pb2.WorkerHello(
            session_id=session_id, camera_id=self.camera_id, pod_name="test"
        )
        await self.stream.write(gateway_pb2.ConnectRequest(hello=hello))

    async def send(self, *reports: SightingReport) -> None:
        """Send the next batch and wait until it is durable."""
        self.sequence += 1
        await self.send_as(self.sequence, *reports)

    async def send_as(self, sequence: int, *reports: SightingReport) -> None:
        """Send a batch with this number and wait until it is acknowledged."""
        batch = gateway_pb2.SightingBatch(sequence=sequence, sightings=reports)
        await self.stream.write(gateway_pb2.ConnectRequest(sightings=batch))
        while True:
            answer = await self.stream.read()
            if answer is grpc.aio.EOF:
                await self.stream  # raises what ended it
                raise AssertionError("the gateway ended the stream")
            if answer.acknowledgement.sequence >= sequence:
                return
