"""On PostgreSQL: several control planes on one database, and a server that goes and comes back."""

import asyncio
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import text

from control_plane.database import Database
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1 import event_service_pb2, person_service_pb2
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from dfip.control_plane.v1.event_service_pb2_grpc import EventServiceStub
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret
from tests.integration.control_plane.conftest import RTSP
from tests.integration.control_plane.test_process import environment, started
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.fake_index import vector
from tests.support.people import running_people_site
from tests.support.postgres import PostgresSite, postgres_server
from tests.support.sightings import Reports, report
from tests.support.telemetry import TelemetryStream, sample, stored_seconds


async def create(site: RunningControlPlane, name: str) -> str:
    request = pb.CreateCameraRequest(name=name, connection_string=RTSP)
    created = await ControlPlaneServiceStub(site.channel()).CreateCamera(request)
    return str(created.data.id)


async def names_from(stream: Any, count: int) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        message = await stream.read()
        if message.HasField("event"):
            names.append(message.event.camera.name)
    return names


async def test_a_watcher_on_one_sees_the_changes_made_through_the_other(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    url = postgres.url(await postgres.fresh())
    async with running_control_plane(tmp_path / "a", database_url=url) as one:
        # replicas have the same keys
        shutil.copytree(tmp_path / "a" / "data" / "keys", tmp_path / "b" / "data" / "keys")
        async with running_control_plane(tmp_path / "b", database_url=url) as other:
            watch = EventServiceStub(other.channel("viewer")).WatchEvents(
                event_service_pb2.WatchEventsRequest()
            )
            start = (await watch.read()).resume_token
            wanted = [f"camera {number}" for number in range(20)]
            for number, name in enumerate(wanted):
                await create(one if number % 3 else other, name)
            assert await names_from(watch, 20) == wanted
            # a token of one is good at the other
            again = EventServiceStub(one.channel("viewer")).WatchEvents(
                event_service_pb2.WatchEventsRequest(resume_token=start)
            )
            assert await names_from(again, 20) == wanted
            watch.cancel()
            again.cancel()
            assert not one.stopping
            assert not other.stopping


async def test_the_same_telemetry_at_two_replicas_counts_once(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    url = postgres.url(await postgres.fresh())
    async with running_control_plane(tmp_path / "a", database_url=url) as one:
        shutil.copytree(tmp_path / "a" / "data" / "keys", tmp_path / "b" / "data" / "keys")
        async with running_control_plane(tmp_path / "b", database_url=url) as other:
            camera_id = await create(one, "Door")
            now = datetime.now(UTC).replace(microsecond=0)
            channels = [
                replica.channel("worker", camera_id=camera_id, epoch=0) for replica in (one, other)
            ]
            session_id = new_id()

            async def send_all(channel: Any) -> None:
                ours = TelemetryStream(channel=channel, session_id=session_id)
                for number in range(1, 21):
                    await ours.send_as(number, [sample(now - timedelta(seconds=number))])

            await asyncio.gather(*(send_all(channel) for channel in channels for _ in range(2)))
            stored = await stored_seconds(
                one.channel("viewer"), camera_id, now - timedelta(seconds=100)
            )
            assert stored == list(range(80, 100))


async def test_a_server_that_crashes_and_returns_costs_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    with postgres_server("autovacuum = off\n") as server:  # writes through to the disk
        url = Secret(server.get_uri())
        async with running_control_plane(tmp_path, database_url=url) as site:
            cameras = ControlPlaneServiceStub(site.channel())
            kept = {await create(site, f"before {number}") for number in range(5)}
            process = server.get_postmaster_info().process
            os.kill(server.get_pid(), signal.SIGQUIT)  # at once, without a checkpoint
            await asyncio.to_thread(process.wait)
            with pytest.raises(grpc.aio.AioRpcError) as away:
                await create(site, "while it is away")
            assert away.value.code() == grpc.StatusCode.UNAVAILABLE
            await asyncio.to_thread(server.ensure_postgres_running)
            kept.add(await create(site, "after"))
            listed = {camera.id async for camera in cameras.ListCameras(pb.ListCamerasRequest())}
            assert listed == kept
            assert not site.stopping, "a root task did not outlive the outage"


async def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    address = f"postgresql+asyncpg://dfip:canary-word@/dfip?host={tmp_path}"
    environ = environment(tmp_path, tmp_path / "c") | {"DFIP_DATABASE_URL": address}
    async with started(environ) as process:
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"cannot connect to the database of DFIP_DATABASE_URL" in said
    assert b"canary-word" not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "address",
    ["mysql://dfip:canary-word@host/dfip", "canary-word", "postgresql://host:canary-word"],
)
async def test_an_address_of_something_else_is_one_sentence(tmp_path: Path, address: str) -> None:
    environ = environment(tmp_path, tmp_path / "c") | {"DFIP_DATABASE_URL": address}
    async with started(environ) as process:
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"DFIP_DATABASE_URL is no address of a PostgreSQL database" in said
    assert b"canary-word" not in said
    assert b"Traceback" not in said


async def everything_in(database: Database) -> str:
    """Return all rows of all tables as text."""
    async with database.read() as session:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        tables = (await session.scalars(text(query))).all()
        rows = [
            str(row)
            for table in tables
            for row in await session.scalars(text(f'SELECT t::text FROM "{table}" t'))
        ]
    return "\n".join(rows)


async def test_no_row_keeps_anything_of_an_erased_person(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    url = postgres.url(await postgres.fresh())
    async with running_people_site(tmp_path, database_url=url) as site:
        database = site.site.control_plane.parts.database
        ada = await site.person("Adelheid Unmistakable", notes="a note of hers")
        face = await site.enrol(ada.id, vector(1))
        reports = await Reports.open(site.site)
        seen = report("match", ada.id, crop=b"\xff\xd8\xff crop")
        await reports.send(seen)
        before = await everything_in(database)
        assert all(one in before for one in ("Adelheid", "a note of hers", face.id, seen.id))
        request = person_service_pb2.DeletePersonRequest(person_id=ada.id)
        assert (await site.persons.DeletePerson(request)).data.sightings == 1
        after = await everything_in(database)
        assert all(one not in after for one in ("Adelheid", "delheid", "a note of hers"))
        async with database.read() as session:
            for table in ("persons", "faces", "embeddings", "sightings", "sighting_candidates"):
                assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
