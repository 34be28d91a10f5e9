"""``AdminService`` as administrators meet it: by RPC and by `dfip keys`."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from cli.client.access import Access
from cli.client.keys import rotate_keys, show_keys
from cli.output import Output
from cli.talk import Talk
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
            await site.control_plane.keys.step()
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
