"""``AdminService`` as administrators meet it: by RPC and by `dfip keys`."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select

from cli.client.access import Access
from cli.client.backups import create_backup, list_backups, restore_backup
from cli.client.keys import rotate_keys, show_keys
from cli.client.retention import set_retention, show_retention
from cli.failures import CommandFailed
from cli.output import Output
from cli.talk import Talk
from control_plane.events.tables import EventRow
from control_plane.keys.keeper import SETTLE_S, SHARED_POLL_S
from dfip.control_plane.v1 import admin_service_pb2 as pb
from dfip.control_plane.v1 import control_plane_service_pb2
from dfip.control_plane.v1.admin_service_pb2_grpc import AdminServiceStub
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.lifecycle import StartError
from tests.support.control_plane import RunningControlPlane, running_control_plane
from tests.support.postgres import PostgresSite
from tests.support.refusals import refused
from tests.support.virtual_clock import VirtualClock

RTSP = "rtsp://user:canary@10.0.0.1/"


def access_to(site: RunningControlPlane) -> Access:
    return Access(server="the test's", target=site.target, token=site.token())


async def camera(site: RunningControlPlane, **fields: Any) -> str:
    request = control_plane_service_pb2.CreateCameraRequest(
        name="door", connection_string=RTSP, **fields
    )
    return str((await ControlPlaneServiceStub(site.channel()).CreateCamera(request)).data.id)


async def events_of(site: RunningControlPlane) -> int:
    async with site.control_plane.parts.database.read() as session:
        return await session.scalar(select(func.count()).select_from(EventRow)) or 0


async def keys_of(site: RunningControlPlane) -> pb.KeyStatus:
    answer: pb.GetKeyStatusResponse = await AdminServiceStub(site.channel()).GetKeyStatus(
        pb.GetKeyStatusRequest()
    )
    return answer.data


async def until_resealed(site: RunningControlPlane) -> pb.KeyStatus:
    while True:
        status = await keys_of(site)
        if not status.older_values and len(status.data_keys) == 1:
            return status
        await asyncio.sleep(0)


@pytest.mark.usefixtures("database_engine")
async def test_keys_are_replaced_while_the_service_runs(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running_control_plane(tmp_path, clock=clock) as site:
        await camera(site)
        before = await keys_of(site)
        assert (before.sealed_values, before.older_values) == (2, 0)
        admin = AdminServiceStub(site.channel())
        started = await admin.RotateKeys(pb.RotateKeysRequest(which="both"))
        states = {key.state for key in started.data.signing_keys}
        assert states == {"signing", "published"}
        for _ in range(int(SETTLE_S / SHARED_POLL_S) + 2):
            await clock.advance(SHARED_POLL_S)
            await site.control_plane.parts.keys.step()
        after = await until_resealed(site)
        assert after.data_keys[0].id > before.data_keys[0].id
        ends = {key.state: key.HasField("ends_at") for key in after.signing_keys}
        assert ends == {"retired": True, "signing": False}


async def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    async with running_control_plane(tmp_path) as site:
        admin = AdminServiceStub(site.channel())
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
            await admin.RotateKeys(pb.RotateKeysRequest(which="encryption", revoke=True))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
            await admin.RotateKeys(pb.RotateKeysRequest(which="everything"))


async def test_the_commands_show_and_replace_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_control_plane(tmp_path) as site:
        await camera(site)
        access = access_to(site)
        await show_keys(access, Output(), Talk())
        listed, said = capsys.readouterr()
        encryption, signing = (line.split("\t") for line in listed.splitlines())
        assert encryption[:3] == ["encryption", "1", "sealing"]
        assert encryption[4] == "2"
        assert signing[0] == "signing"
        assert "0 of 2 values" in said
        await rotate_keys(access, Output(), Talk(), which="master", revoke=False)
        assert "older lines of the key file" in capsys.readouterr().err
        await rotate_keys(access, Output(as_json=True), Talk(), which="encryption", revoke=False)
        shown = capsys.readouterr().out
        assert json.loads(shown)["data_keys"]
        file = (tmp_path / "data" / "keys" / "master.key").read_text()
        assert len(file.splitlines()) == 2
        for line in file.splitlines():
            assert line.partition(":")[2] not in shown


async def test_replicas_with_folders_of_their_own_share_the_keys_of_the_database(
    tmp_path: Path, postgres: PostgresSite
) -> None:
    url = postgres.url(await postgres.fresh())
    async with running_control_plane(tmp_path / "a", database_url=url) as one:
        with pytest.raises(StartError, match="DFIP_MASTER_KEY_FILE"):
            async with running_control_plane(tmp_path / "b", database_url=url):
                pass
        shared = tmp_path / "shared.key"
        shutil.copy(tmp_path / "a" / "data" / "keys" / "master.key", shared)
        async with running_control_plane(
            tmp_path / "b", database_url=url, master_key_file=shared
        ) as other:
            # what one signed, the other takes
            token = one.token().reveal()
            cameras = ControlPlaneServiceStub(other.channel(token=token))
            await cameras.CreateCamera(
                control_plane_service_pb2.CreateCameraRequest(
                    name="door", connection_string=RTSP, request_id="once"
                )
            )
            # and what one sealed, the other opens
            assert await camera(one, request_id="once")


@pytest.mark.usefixtures("database_engine")
async def test_the_policy_is_the_settings_until_somebody_sets_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running_control_plane(tmp_path, clock=clock, telemetry_days=12.0) as site:
        admin: Any = AdminServiceStub(site.channel())
        get = pb.GetRetentionPolicyRequest()
        before = (await admin.GetRetentionPolicy(get)).data
        assert (before.event_days, before.telemetry_days) == (7, 12)
        assert not before.HasField("changed_at")
        await camera(site)
        await clock.leap(2 * 86400)
        admin = AdminServiceStub(site.channel())
        change = pb.SetRetentionPolicyRequest(event_days=1, run_now=True, etag=before.etag)
        after = (await admin.SetRetentionPolicy(change)).data
        assert (after.event_days, after.telemetry_days) == (1, 12)
        assert after.HasField("changed_at")
        while await events_of(site):  # noqa: ASYNC110 - nothing tells when a round is over
            await asyncio.sleep(0)
        with refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"):
            await admin.SetRetentionPolicy(change)
        for wrong in (0.5, 366, float("nan"), float("inf")):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID"):
                await admin.SetRetentionPolicy(pb.SetRetentionPolicyRequest(event_days=wrong))
    async with running_control_plane(tmp_path, clock=clock) as again:
        admin = AdminServiceStub(again.channel())
        kept = (await admin.GetRetentionPolicy(get)).data
        assert (kept.event_days, kept.telemetry_days) == (1, 30)


async def test_the_commands_for_retention_and_backups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_control_plane(tmp_path) as site:
        await camera(site)
        access = access_to(site)
        await set_retention(access, Output(), Talk(), days={"sighting_days": 9.5}, now=False)
        await show_retention(access, Output())
        assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["9.5"] * 2
        await create_backup(access, Output(), Talk(), with_keys=False)
        out, err = capsys.readouterr()
        name, state, _, size, *_ = out.rstrip("\n").split("\t")
        assert state == "complete"
        assert int(size) > 0
        assert "opens no secret" in err
        await list_backups(access, Output())
        assert capsys.readouterr().out.startswith(f"{name}\tcomplete\t")
        folder = tmp_path / "data" / "backups" / name
    restored = await asyncio.to_thread(
        restore_backup,
        folder,
        data_dir=tmp_path / "again",
        ledger=None,
        master_key=None,
        output=Output(),
        talk=Talk(),
    )
    assert restored == 0
    assert "Put the key file" in capsys.readouterr().err
    assert (tmp_path / "again" / "dfip.db").is_file()
    with pytest.raises(CommandFailed, match="not empty"):
        await asyncio.to_thread(
            restore_backup,
            folder,
            data_dir=tmp_path / "again",
            ledger=None,
            master_key=None,
            output=Output(),
            talk=Talk(),
        )
