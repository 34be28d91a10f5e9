"""`dfip token …` against a real control plane."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from cli.__main__ import run
from cli.client.access import Access
from cli.client.tokens import Revocation, issue_token, list_tokens, revoke_tokens
from cli.failures import CommandFailed, ExitCode
from cli.forms import Form
from cli.output import Output
from cli.talk import Talk
from dfip.control_plane.v1 import control_plane_service_pb2 as cameras_pb
from dfip.control_plane.v1 import control_plane_service_pb2_grpc as cameras_grpc
from dfip.control_plane.v1 import token_service_pb2 as pb
from service_runtime.clients import StaticToken, open_channel
from service_runtime.secret import Secret
from tests.support.control_plane import running_control_plane

PIPED, JSON = Output(form=Form.TSV), Output(as_json=True)
Captured = pytest.CaptureFixture[str]


async def cameras_seen_with(target: str, token: str) -> list[str]:
    channel = open_channel(target, token=StaticToken(Secret(token)))
    try:
        stub: Any = cameras_grpc.ControlPlaneServiceStub(channel)
        return [one.name async for one in stub.ListCameras(cameras_pb.ListCamerasRequest())]
    finally:
        await channel.close()


async def test_tokens_are_made_for_cameras_listed_and_ended(
    tmp_path: Path, capsys: Captured
) -> None:
    async with running_control_plane(tmp_path) as site:
        access = Access(server="http://site", target=site.target, token=site.token())
        stub: Any = cameras_grpc.ControlPlaneServiceStub(site.channel())
        for name in ("door", "gate", "yard"):
            await stub.CreateCamera(
                cameras_pb.CreateCameraRequest(name=name, connection_string="rtsp://h/s")
            )

        async def issue(subject: str, cameras: list[str], role: str = "viewer") -> Any:
            await issue_token(
                access, JSON, Talk(), role=role, cameras=cameras, subject=subject, lifetime_s=60
            )
            return json.loads(capsys.readouterr().out)

        async def listed(output: Output = JSON, **wanted: Any) -> str:
            await list_tokens(access, output, wanted=pb.ListTokensRequest(**wanted), limit=2)
            return capsys.readouterr().out

        limited = await issue("guard", ["door", "gate"])
        assert await cameras_seen_with(site.target, limited["token"]) == ["door", "gate"]
        worker = await issue("mine", ["yard"], role="worker")
        await issue("other", [])
        assert [one["subject"] for one in json.loads(await listed())] == ["other", "mine"]

        (line,) = (await listed(PIPED, subject="guard")).splitlines()
        cells = line.split("\t")
        assert cells[:3] == [limited["id"], "guard", "viewer"]
        assert len(cells[3].split(",")) == 2
        assert cells[6:] == ["test-admin", "", ""]
        assert limited["token"] not in line

        await revoke_tokens(
            access, PIPED, Talk(), revocations=[Revocation(kind="token", name=worker["id"])]
        )
        out, talk = capsys.readouterr()
        assert out == f"token\t{worker['id']}\n"
        assert "hold no more" in talk
        assert json.loads(await listed(subject="mine", in_force=True)) == []
        (ended,) = json.loads(await listed(subject="mine"))
        assert ended["revoked_by"] == "test-admin"

        await revoke_tokens(
            access, JSON, Talk(), revocations=[Revocation(kind="subject", name="guard")]
        )
        assert json.loads(capsys.readouterr().out) == [{"kind": "subject", "name": "guard"}]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await cameras_seen_with(site.target, limited["token"])
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

        with pytest.raises(CommandFailed) as failed:
            await issue("x", ["cellar"])
        assert failed.value.code is ExitCode.NOT_FOUND


@pytest.fixture
def no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: what is refused here was refused before anything was sent."""
    monkeypatch.setenv("DFIP_SERVER", "http://127.0.0.1:1")
    monkeypatch.setenv("DFIP_TOKEN", "t")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("issue --role worker", "bound to one camera"),
        ("issue --role worker --camera a --camera b", "bound to one camera"),
        ("issue --role admin --camera a", "for all cameras"),
        ("revoke", "Name tokens by their ids"),
        ("revoke id --subject s", "Name tokens by their ids"),
        ("revoke --subject s", "Say so with --yes"),
    ],
)
@pytest.mark.usefixtures("no_site")
def test_wrong_usage_is_told_before_anything_is_sent(
    words: str, sentence: str, capsys: Captured
) -> None:
    assert run(["token", *words.split(" ")]) == ExitCode.USAGE
    assert sentence in capsys.readouterr().err
