"""A mesh that watches the labelled clip: an RTSP server, `dfip up`, its cameras and people.

What it did is read from outside: processor time of its processes, the state of its cameras over
REST, the worker's own counters, and the rows of its database.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import httpx
import psutil

from bench.sites.labelled_clip import FPS, SIZE, LabelledClip
from bench.sites.recall import Named
from dfip.vision_worker.v1 import worker_service_pb2
from dfip.vision_worker.v1.worker_service_pb2_grpc import WorkerServiceStub
from service_runtime.clients import FileToken, open_channel
from tests.cameras.gstreamer import RtspServer, rtsp_server
from tests.support.mesh import Mesh, running_mesh
from tests.support.reels import Reel, Unit

_START_S = 90.0
_SEEN = (
    "select id, camera_id, revision, decision, person_id, started_at, ended_at, created_at"
    " from sightings"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    """A row as it was last seen; times in seconds since the epoch."""

    camera_id: str
    revision: int
    decision: str
    person_id: str | None
    started: float
    ended: float
    created: float


@dataclass(slots=True, kw_only=True)
class Site:
    """A mesh at work.

    Attributes:
        mesh: `dfip up`.
        server: what plays the clip.
        clip: the clip.
        cameras: mount by camera id.
        offsets: frames by which a mount is ahead.
        people: name by person id.
        sightings: the rows, by id.
        delays: seconds from the frame of the first report to its row, with the time of the row.
    """

    mesh: Mesh
    server: RtspServer
    clip: LabelledClip
    rest: httpx.AsyncClient
    cameras: Mapping[str, str]
    offsets: Mapping[str, int]
    people: Mapping[str, str]
    sightings: dict[str, _Sighting] = field(default_factory=dict)
    delays: dict[str, tuple[float, float]] = field(default_factory=dict)

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return every process, by what it is."""
        return {
            **self.mesh.processes(),
            "supervisor": [psutil.Process(self.mesh.process.pid)],
            "rtsp_server": [psutil.Process(self.server.process.pid)],
        }

    def phases(self) -> dict[str, float]:
        """Return at which second of its clip each camera is now."""
        frames = round(self.clip.length_s * FPS)
        return {
            camera: (self.server.sent(mount) + self.offsets[mount]) % frames / FPS
            for camera, mount in self.cameras.items()
        }

    async def states(self) -> list[str]:
        """Return the state of each camera."""
        answer = await self.rest.get("/cameras/runtime")
        listed: Sequence[Mapping[str, Any]] = answer.json()["data"]
        return [
            f"{one['runtime']['worker_status']}/{one['runtime']['health_status']}" for one in listed
        ]

    async def work(self) -> dict[str, int]:
        """Return the worker's counters, of all cameras together."""
        (manager,) = self.mesh.processes()["camera_manager"]
        environment = await asyncio.to_thread(manager.environ)
        token = FileToken(Path(environment["DFIP_TOKEN_FILE"]))
        names = ("frames_decoded", "frames_sampled", "frames_dropped", "embeddings")
        total = dict.fromkeys(names, 0)
        for socket in await asyncio.to_thread(_sockets, environment["DFIP_SOCKETS_DIR"]):
            channel = open_channel(f"unix:{socket}", token=token)
            status = await WorkerServiceStub(channel).GetWorkerStatus(
                worker_service_pb2.GetWorkerStatusRequest(), timeout=10
            )
            await channel.close()
            for camera in status.cameras:
                for name in names:
                    total[name] += getattr(camera, name)
        return total

    def note_sightings(self) -> None:
        """Read the rows that there are."""
        path = self.mesh.data_dir / "dfip.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
            rows = database.execute(_SEEN).fetchall()
        database.close()
        for key, camera_id, revision, decision, person_id, *times in rows:
            started, ended, created = (_seconds(text) for text in times)
            if key not in self.sightings and revision == 1:
                self.delays[key] = (created - ended, created)
            self.sightings[key] = _Sighting(
                camera_id=camera_id,
                revision=revision,
                decision=decision,
                person_id=person_id,
                started=started,
                ended=ended,
                created=created,
            )

    def latencies(self, *, since: float) -> list[float]:
        """Return the delays of sightings that were written after a moment."""
        return [delay for delay, created in self.delays.values() if created >= since]

    def named(self, camera_id: str, *, since: float, phase_s: float) -> list[Named]:
        """Return who was named before a camera that was at a second of its clip at a moment."""
        return [
            Named(
                person=self.people.get(one.person_id or "", "?"),
                begin_s=one.started - since + phase_s,
                end_s=one.ended - since + phase_s,
            )
            for one in self.sightings.values()
            if one.camera_id == camera_id and one.decision == "match" and one.ended >= since
        ]


@asynccontextmanager
async def running_site(
    folder: Path,
    *,
    clip: LabelledClip,
    cameras: int,
    pack: str,
    sample_fps: float,
    photos: Mapping[str, Sequence[Path]],
) -> AsyncIterator[Site]:
    """Run a mesh whose cameras all run, until the end of the block.

    Args:
        folder: where it keeps everything.
        clip: what its cameras show.
        cameras: how many; they share one worker process.
        pack: a prepared model pack.
        sample_fps: frames looked at a second.
        photos: photographs by the name of the person whom they show.
    """
    reel = _reel(clip)
    arguments = ("--pack", pack, "--camera-networks", "127.0.0.0/8")
    with (
        rtsp_server(folder) as server,
        running_mesh(folder / "data", *arguments, "--cameras-per-worker", str(cameras)) as mesh,
    ):
        people = {}
        for person, files in photos.items():
            added = await asyncio.to_thread(
                mesh.cli, "person", "add", person, *map(str, files), "--json"
            )
            if added.returncode:
                raise RuntimeError(added.stderr)
        async with httpx.AsyncClient(
            base_url=mesh.url,
            headers={"authorization": f"Bearer {mesh.token}"},
            timeout=30,
            trust_env=False,
        ) as rest:
            listed = (await rest.get("/persons")).json()["data"]
            people = {one["id"]: one["name"] for one in listed}
            mounts: dict[str, str] = {}
            offsets: dict[str, int] = {}
            for number in range(cameras):
                mount = f"camera{number}"
                ahead = number * len(reel.units) // cameras // FPS * FPS
                url = server.mount(mount, _rotated(reel, ahead))
                created = await rest.post(
                    "/cameras",
                    json={
                        "name": mount,
                        "connection_string": url,
                        "desired_state": "running",
                        "model_config": {"sample_fps": sample_fps},
                    },
                )
                created.raise_for_status()
                mounts[created.json()["data"]["id"]] = mount
                offsets[mount] = ahead
            site = Site(
                mesh=mesh,
                server=server,
                clip=clip,
                rest=rest,
                cameras=mounts,
                offsets=offsets,
                people=people,
            )
            await _all_run(site)
            yield site


def _sockets(folder: str) -> list[Path]:
    return list(Path(folder).glob("w-*.sock"))


@asynccontextmanager
async def playing(clip: LabelledClip, folder: Path) -> AsyncIterator[tuple[RtspServer, str]]:
    """Play the clip until the end of the block; yield the server and the camera's address."""
    with rtsp_server(folder) as server:
        yield server, server.mount("camera", _reel(clip))


async def _all_run(site: Site) -> None:
    began = time.monotonic()
    while states := await site.states():
        if all(state.startswith("running/") for state in states):
            return
        if time.monotonic() - began > _START_S:
            raise RuntimeError(f"the cameras do not run: {states}\n{site.mesh.logs()}")
        await asyncio.sleep(0.5)


def _reel(clip: LabelledClip) -> Reel:
    """Return the clip as the RTSP server plays it."""
    units: list[Unit] = []
    with av.open(str(clip.path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                at_s = len(units) / FPS
                units.append(
                    Unit(data=bytes(packet), due_s=at_s, stamp_s=at_s, key=packet.is_keyframe)
                )
    return Reel(codec="h264", size=SIZE, units=tuple(units), length_s=len(units) / FPS)


def _rotated(reel: Reel, frames: int) -> Reel:
    """Return the reel begun at another key frame."""
    turned = (*reel.units[frames:], *reel.units[:frames])
    units = tuple(
        Unit(data=unit.data, due_s=at / FPS, stamp_s=at / FPS, key=unit.key)
        for at, unit in enumerate(turned)
    )
    return Reel(codec=reel.codec, size=reel.size, units=units, length_s=reel.length_s)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
