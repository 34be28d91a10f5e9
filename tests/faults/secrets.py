"""The row "secrets": whatever happens, a secret is nowhere but with whom it is for.

Canary passwords, tokens, keys and embeddings go through everything that a site does and suffers;
``secrets_world`` looks for them in all that it says and leaves behind, and holds that what was
sealed still opens for its own, and for nothing else.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc
import psutil
import pytest
from sqlalchemy.exc import OperationalError

from control_plane.database import Transaction
from dfip.control_plane.v1 import control_plane_service_pb2 as pb
from dfip.control_plane.v1.control_plane_service_pb2_grpc import ControlPlaneServiceStub
from service_runtime.clients import FileToken, open_channel
from service_runtime.identifiers import new_id
from service_runtime.lifecycle import StartError
from tests.faults.change_feed import own_server
from tests.faults.row import Figures, Row, inject, names
from tests.faults.secrets_world import NOTHING_OPENS, World, next_address, running_world
from tests.support.engines import SQLITE, on_server
from tests.support.leaks import TOKEN

NAME = "secrets"
ROOT = Path(__file__).resolve().parents[2]
_DONE_WITHIN_S = 30

Fault = Callable[[World], Awaitable[None]]


# ---- canaries through everything that is said


async def addresses_that_are_refused(world: World) -> None:
    camera_id = world.dice.choice(sorted(world.addresses))
    for bad in (
        f"ftp://u:{world.canary()}@10.0.0.5/",
        f"rtsp://u:{world.canary()}@@10.0.0.5/",
        f"rtsp://u:{world.canary()}@10.0.0.5:99999/",
        f"file:///{world.canary()}.mp4",
        world.canary() * 200,
        f"rtsp://u:{world.canary()}\n@10.0.0.5/",
    ):
        body = {"name": f"bad {new_id()}", "connection_string": bad}
        for verb, path in (("POST", "/cameras"), ("PATCH", f"/cameras/{camera_id}")):
            answer = await world.ask(verb, path, json=body)
            assert answer.status_code == 400, answer.text
    await world.ask("GET", "/cameras", params={"connection_string": world.address()})
    twice = {"name": "twice", "connection_string": world.address()}
    await world.ask("POST", "/cameras", params={"connection_string": world.address()}, json=twice)
    await world.ask("POST", "/cameras", content=f'{{"connection_string": "{world.address()}", ')


async def repeated_with_another_address(world: World) -> None:
    request_id = new_id()
    body = {"name": f"once {request_id}", "request_id": request_id, "status": "enabled"}
    address = world.address()
    for sent, status in ((address, 201), (address, 201), (world.address(), 409)):
        answer = await world.ask("POST", "/cameras", json=body | {"connection_string": sent})
        assert answer.status_code == status, answer.text
    found = (await world.ask("GET", "/cameras")).json()
    (camera_id,) = (one["id"] for one in found if one["name"] == body["name"])
    world.addresses[camera_id] = address


async def address_changed_and_camera_deleted(world: World) -> None:
    camera_id = await world.new_camera()
    assert await world.assignment(camera_id) == world.addresses[camera_id]
    world.addresses[camera_id] = world.address()
    body = {"connection_string": world.addresses[camera_id]}
    assert (await world.ask("PATCH", f"/cameras/{camera_id}", json=body)).status_code == 200
    assert await world.assignment(camera_id) == world.addresses[camera_id]
    await world.ask("DELETE", f"/cameras/{camera_id}")
    del world.addresses[camera_id]


async def worker_that_tells_its_address(world: World) -> None:
    """Libraries put whole URLs into their errors, and workers pass errors on."""
    camera_id = world.dice.choice(sorted(world.addresses))
    address = await world.assignment(camera_id)
    epoch = await world.value(
        "SELECT epoch FROM camera_runtime WHERE camera_id = :id", id=camera_id
    )
    token = world.token("worker", camera_id=camera_id, epoch=epoch)
    said = {"error": f"cannot open {address}: 401", "tried": [{"url": address}]}
    answer = await world.ask(
        "POST",
        f"/cameras/{camera_id}/heartbeat",
        headers={"authorization": f"Bearer {token}"},
        json={"status": "failed", "healthInfo": said},
    )
    assert answer.status_code == 200, answer.text
    query = "SELECT health_info FROM camera_runtime WHERE camera_id = :id"
    kept = str(await world.value(query, id=camera_id))
    assert "cannot open" in kept, "what the worker said is gone, and not the secret alone"


async def tokens_in_the_wrong_place(world: World) -> None:
    token = world.token()
    nobody: dict[str, str] = {"authorization": ""}
    attempts: tuple[dict[str, Any], ...] = (
        {"params": {"access_token": token}, "headers": nobody},
        {"headers": nobody | {"cookie": f"token={token}"}},
        {"headers": {"authorization": f"Basic {token}"}},
        {"headers": {"authorization": f"Bearer {token}x"}},
        {"headers": {"authorization": f"Bearer {token}, Bearer {token}"}},
    )
    for asked in attempts:
        assert (await world.ask("GET", "/cameras", **asked)).status_code == 401
    await world.ask("GET", f"/cameras/{token}")
    await world.ask("POST", "/persons", json={"name": 1, "notes": [token]})
    await world.ask("GET", "/cameras", params={"page_token": token})
    await world.ask("GET", "/events", headers={"last-event-id": token})


async def tokens_made_and_revoked(world: World) -> None:
    made = await world.ask("POST", "/tokens", tells=True, json={"role": "viewer"})
    told = made.json()["data"]
    await world.ask("GET", "/tokens")
    assert (await world.ask("POST", f"/tokens/{told['id']}:revoke", json={})).status_code == 200
    headers = {"authorization": f"Bearer {told['token']}"}
    assert (await world.ask("GET", "/cameras", headers=headers)).status_code == 401


async def webhooks_with_secrets(world: World) -> None:
    url = f"https://user:{world.canary()}@receiver.invalid/hook"
    refused = await world.ask("POST", "/webhooks", json={"name": "bad", "url": url})
    secret_path = world.canary()
    body = {"name": f"hook {new_id()}", "url": f"https://receiver.invalid/{secret_path}"}
    made = await world.ask("POST", "/webhooks", tells=True, json=body)
    assert made.status_code == 201, (refused.text, made.text)
    webhook = made.json()["data"]
    rotated = await world.ask(
        "POST", f"/webhooks/{webhook['id']}:rotate-secret", tells=True, json={}
    )
    for answer in (made, rotated):
        if secret := answer.json().get("data", {}).get("secret"):
            world.leaks.secret("a webhook's secret", secret.removeprefix("whsec_"))
    await world.ask("POST", f"/webhooks/{webhook['id']}:test", tells=True, json={})
    await world.ask("DELETE", f"/webhooks/{webhook['id']}")


async def errors_that_hold_secrets(world: World) -> None:
    """What nobody foresaw is raised where an address is at hand, with the address in its text."""
    for error in (
        RuntimeError(f"cannot open {world.address()}"),
        ValueError(f"Bearer {world.token()}"),
        KeyError(world.address()),
        OperationalError("INSERT", {"url": world.address()}, Exception("disk full")),
    ):
        body = {"name": f"crash {new_id()}", "connection_string": world.address()}
        with patch.object(Transaction, "append_event", side_effect=error):
            answer = await world.ask("POST", "/cameras", json=body)
        assert answer.status_code in {500, 503}, answer.text


async def backup_without_keys(world: World) -> None:
    """A copy of everything holds no secret in the clear, and not the key either."""
    begun = await world.ask("POST", "/admin/backups", json={})
    assert begun.status_code == 201, begun.text
    backup_id = begun.json()["data"]["id"]
    async with asyncio.timeout(_DONE_WITHIN_S):
        while True:
            listed = (await world.ask("GET", "/admin/backups")).json()["data"]
            (state,) = {one["state"] for one in listed if one["id"] == backup_id}
            if state != "running":
                break
            await asyncio.sleep(0.01)  # nothing tells when a backup is whole
    assert state == "complete", listed
    world.figures["backups"] += 1


# ---- keys


async def rotation_under_load(world: World) -> None:
    """Reads and writes go on while every value is sealed anew."""
    for _ in range(20 if world.thorough else 3):
        await world.new_camera()
    rotated = asyncio.Event()

    async def read_and_write() -> None:
        while not rotated.is_set():
            camera_id = world.dice.choice(sorted(world.addresses))
            assert await world.assignment(camera_id) == world.addresses[camera_id]
            await world.new_camera()
            world.figures["under_rotation"] += 2
            await asyncio.sleep(0.05)  # leaves the machine to the rotation, too

    load = asyncio.create_task(read_and_write())
    try:
        for which in ("encryption", "both", "master") if world.thorough else ("both", "master"):
            before = await world.value("SELECT max(id) FROM data_keys")
            answer = await world.ask("POST", "/admin/keys:rotate", json={"which": which})
            if which == "master" and world.site.settings.database_url is not None:
                assert answer.json()["details"][0]["reason"] == "MASTER_KEY_UNCHANGED"
                continue
            assert answer.status_code == 200, answer.text
            if which != "master":
                await _until_sealed_anew(world, after=before)
            world.know_own_secrets()
            world.figures["rotations"] += 1
    finally:
        rotated.set()
        await load
    for camera_id, address in world.addresses.items():
        assert await world.assignment(camera_id) == address


async def _until_sealed_anew(world: World, *, after: int) -> None:
    async with asyncio.timeout(_DONE_WITHIN_S):
        while True:
            status = (await world.ask("GET", "/admin/keys")).json()["data"]
            ids = [key["id"] for key in status["data_keys"]]
            if not status["older_values"] and len(ids) == 1 and ids[0] > after:
                break
            await asyncio.sleep(0.02)  # nothing tells when the last value is done
    signing = {key["state"] for key in status["signing_keys"]}
    assert "signing" in signing


async def wrong_master_key_at_start(world: World) -> None:
    """Refused in a sentence before anything is sealed or opened; the right key opens all again."""
    await world.stop()
    right = world.key_file.read_bytes()
    number = right.partition(b":")[0]
    for wrong in (
        number + b":" + b"QUFB" * 10 + b"QUE=\n",
        b"not a key file\n",
        right[:-10],
        b"",
        None,
    ):
        world.key_file.unlink()
        if wrong is not None:
            world.key_file.write_bytes(wrong)
        try:
            with pytest.raises(StartError) as refused:
                await world.start()
        finally:
            await world.stop()
            world.key_file.write_bytes(right)
            world.key_file.chmod(0o600)
        world.hear("why it does not start", refused.value)
        assert str(world.key_file) in str(refused.value), "does not say which file"
        world.figures["wrong_keys"] += 1
    await world.start()
    for camera_id, address in world.addresses.items():
        assert await world.assignment(camera_id) == address


# ---- ciphertext that somebody with the database moves


async def _sealed(world: World, camera_id: str) -> bytes:
    query = "SELECT connection_sealed FROM cameras WHERE id = :id"
    return bytes(await world.value(query, id=camera_id))


async def _in_its_place(world: World, camera_id: str, value: bytes) -> None:
    """Put a value in the place of a camera's address; it must open as nothing, and be mended."""
    own = await _sealed(world, camera_id)
    statement = "UPDATE cameras SET connection_sealed = :value WHERE id = :id"
    await world.execute(statement, value=value, id=camera_id)
    try:
        await world.told_nothing(camera_id)
    finally:
        await world.execute(statement, value=own, id=camera_id)
    assert await world.assignment(camera_id) == world.addresses[camera_id]
    world.figures["moved"] += 1


async def moved_between_rows(world: World) -> None:
    mine, other = world.dice.sample(sorted(world.addresses), 2)
    await _in_its_place(world, mine, await _sealed(world, other))


async def moved_between_columns(world: World) -> None:
    camera_id = await world.new_camera(request_id=new_id())
    query = "SELECT request_sealed FROM cameras WHERE id = :id"
    await _in_its_place(world, camera_id, bytes(await world.value(query, id=camera_id)))


async def moved_between_tables(world: World) -> None:
    camera_id = world.dice.choice(sorted(world.addresses))
    for query in (
        "SELECT sealed FROM embeddings LIMIT 1",
        "SELECT sealed FROM signing_keys LIMIT 1",
    ):
        await _in_its_place(world, camera_id, bytes(await world.value(query)))


async def changed_a_little(world: World) -> None:
    camera_id = world.dice.choice(sorted(world.addresses))
    own = await _sealed(world, camera_id)
    at = world.dice.randrange(6, len(own))
    flipped = own[:at] + bytes((own[at] ^ 1,)) + own[at + 1 :]
    another_key = own[:2] + (2**31).to_bytes(4, "big") + own[6:]
    for value in (flipped, own[:-1], own[:20], own[:3], b"\0", b"", own + b"\0", another_key):
        await _in_its_place(world, camera_id, value)


async def moved_under_a_connected_worker(world: World) -> None:
    """Its stream ends in words; the worker of another camera hears of its own change."""
    mine, other = world.dice.sample(sorted(world.addresses), 2)
    workers = {camera_id: await world.connect(camera_id) for camera_id in (mine, other)}
    async with asyncio.timeout(_DONE_WITHIN_S):
        for camera_id, worker in workers.items():
            assert await next_address(worker) == world.addresses[camera_id]
        own, foreign = await _sealed(world, mine), await _sealed(world, other)
        statement = "UPDATE cameras SET connection_sealed = :value WHERE id = :id"
        await world.execute(statement, value=foreign, id=mine)
        for camera_id in (mine, other):
            zones = {"zones": [{"name": new_id(), "polygon": [[0, 0], [1, 0], [1, 1]]}]}
            changed = await world.ask("PATCH", f"/cameras/{camera_id}", json={"zone_config": zones})
            assert changed.status_code == 200, changed.text
        assert await next_address(workers[other]) == world.addresses[other]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await next_address(workers[mine])
    assert ended.value.code() in NOTHING_OPENS, ended.value.code()
    world.hear("the end of a stream", ended.value)
    await world.execute(statement, value=own, id=mine)
    workers[other].cancel()
    world.figures["moved"] += 1


# ---- the processes


async def process_killed_in_the_middle(world: World) -> None:
    """A control plane of its own, what everybody can see of it, and what SIGKILL leaves behind."""
    folder = world.folder / f"process {world.figures['kills']}"
    folder.mkdir()
    admin = FileToken(folder / "data" / "admin.token")
    async with _process(folder) as (process, socket):
        async with open_channel(f"unix:{socket}", token=None) as probe:
            await probe.channel_ready()
        for file in (folder / "data" / "admin.token", *(folder / "tokens").glob("*.token")):
            world.leaks.shape("a token", TOKEN, allowed_in=[file])
        async with open_channel(f"unix:{socket}", token=admin) as channel:
            cameras = ControlPlaneServiceStub(channel)
            for number in range(5):
                request = pb.CreateCameraRequest(
                    name=f"camera {number}", connection_string=world.address()
                )
                world.hear("the answer of a process", await cameras.CreateCamera(request))
            seen = psutil.Process(process.pid)
            world.leaks.look_at_processes([seen, *seen.children(recursive=True)])
            world.leaks.look_at_processes([psutil.Process(world.running.edge.pid)])
            writing = [
                asyncio.ensure_future(
                    cameras.CreateCamera(
                        pb.CreateCameraRequest(name=f"more {n}", connection_string=world.address())
                    )
                )
                for n in range(20)
            ]
            await asyncio.wait(writing, return_when=asyncio.FIRST_COMPLETED)
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(*writing, return_exceptions=True)
            await process.wait()
    world.figures["kills"] += 1


@asynccontextmanager
async def _process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    with tempfile.TemporaryDirectory(prefix="dfip-") as sockets:
        socket = Path(sockets) / "c"
        environ = os.environ | {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}",
            "DFIP_LISTEN": f"unix:{socket}",
            "DFIP_DATA_DIR": str(folder / "data"),
            "DFIP_TOKENS_DIR": str(folder / "tokens"),
            "DFIP_JWKS_FILE": str(folder / "jwks.json"),
            "DFIP_MEDIA_ROOT": str(folder / "media"),
            "DFIP_INDEX_TARGET": f"unix:{folder}/index.sock",
            "DFIP_LOG_LEVEL": "debug",
        }
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "control_plane"),
                env=environ,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        try:
            yield process, socket
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


FAULTS: tuple[Fault, ...] = (
    addresses_that_are_refused,
    repeated_with_another_address,
    address_changed_and_camera_deleted,
    worker_that_tells_its_address,
    tokens_in_the_wrong_place,
    tokens_made_and_revoked,
    webhooks_with_secrets,
    errors_that_hold_secrets,
    backup_without_keys,
    rotation_under_load,
    wrong_master_key_at_start,
    moved_between_rows,
    moved_between_columns,
    moved_between_tables,
    changed_a_little,
    moved_under_a_connected_worker,
)
PROCESSES: tuple[Fault, ...] = (process_killed_in_the_middle,)


async def put_in(world: World, faults: Sequence[Fault], *, seed: int, rounds: int) -> Counter[str]:
    """Put every fault into a world; return what was counted."""
    count = await inject(faults, world, world.check, row=NAME, seed=seed, rounds=rounds)
    await world.hear_everything()
    world.figures["faults_injected"] += count
    world.figures["bytes_searched"] = world.leaks.bytes_searched
    world.figures["hits"] = len(world.leaks.found)
    return world.figures


async def run(seed: int, size: int) -> Figures:
    """Run the whole row; on PostgreSQL the files of the server are looked through as well."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="dfip-") as name:
        folder = Path(name)
        async with running_world(folder / SQLITE, dice=random.Random(seed), thorough=True) as world:
            found += await put_in(world, FAULTS + PROCESSES, seed=seed, rounds=size)
        with own_server() as server:
            async with (
                on_server(server),
                running_world(
                    folder / "postgres",
                    dice=random.Random(seed),
                    thorough=True,
                    extra=(Path(server.pgdata),),
                    postgres_bin_dir=Path(server.bin_path),
                ) as world,
            ):
                found += await put_in(world, FAULTS, seed=seed, rounds=size)
    found["megabytes_searched"] = found["bytes_searched"] // 1_000_000
    return {key: found[key] for key in FIGURES}


FIGURES = (
    "faults_injected", "megabytes_searched", "hits", "rotations", "under_rotation", "wrong_keys",
    "moved", "backups", "kills",
)  # fmt: skip
ROW = Row(name=NAME, faults=names(FAULTS + PROCESSES), run=run)
