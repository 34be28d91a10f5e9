"""The whole mesh with a password in a camera's address: it is nowhere, and neither is any token.

A worker tries the camera and fails, people ask and are refused, everything is killed at once and
started again; then every answer, event, log line, file and process is looked through.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.leaks import TOKEN, Leaks
from tests.support.mesh import Mesh, running_mesh, wait_until

pytestmark = pytest.mark.timeout(180)

PASSWORD = "canary-83b1f6d2"
ADDRESS = f"rtsp://admin:{PASSWORD}@127.0.0.1:9/live"
TRIED_WITHIN_S = 30


def conversation(rest: httpx.Client, camera_id: str) -> Iterator[str]:
    """Ask for everything that people may see, and for what is refused."""
    again = {"name": "again", "connection_string": ADDRESS, "request_id": "once"}
    bad = {"name": "bad", "connection_string": f"ftp://admin:{PASSWORD}@127.0.0.1/"}
    asked = [
        rest.post("/cameras", json=again),
        rest.post("/cameras", json=again | {"connection_string": f"{ADDRESS}2"}),
        rest.post("/cameras", json=bad),
        rest.patch(f"/cameras/{camera_id}", json={"connection_string": bad["connection_string"]}),
        rest.get("/cameras", params={"connection_string": ADDRESS}),
        rest.get("/cameras", headers={"authorization": f"Bearer {PASSWORD}"}),
    ]
    paths = ("/cameras", f"/cameras/{camera_id}", "/cameras/runtime", "/tokens", "/audit")
    asked += [rest.get(path) for path in (*paths, "/admin/keys", "/manager/status")]
    assert {answer.status_code for answer in asked} >= {200, 201, 400, 401, 409}
    for answer in asked:
        yield answer.text
        yield str(answer.headers.multi_items())


def events(rest: httpx.Client) -> str:
    """Return what is told of the next change."""
    with rest.stream("GET", "/events.ndjson", timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        rest.post("/cameras", json={"name": "told of", "connection_string": f"{ADDRESS}3"})
        return next(line for line in lines if "camera.created" in line)


def has_tried(rest: httpx.Client, camera_id: str) -> bool:
    listed = rest.get("/cameras/runtime").json()["data"]
    (camera,) = (one for one in listed if one["id"] == camera_id)
    return bool(camera["runtime"]["error_count"])


def looked_through(leaks: Leaks, mesh: Mesh) -> None:
    """Look through what lies about and what everybody sees of the processes."""
    data = mesh.data_dir
    for file in (*data.rglob("*.token"), *data.rglob("token")):
        leaks.shape("a token", TOKEN, allowed_in=[file])
    for line in (data / "keys" / "master.key").read_text().splitlines():
        allowed = [data / "keys" / "master.key"]
        leaks.secret("the master key", line.partition(":")[2], allowed_in=allowed)
    leaks.look_below(data)
    leaks.look("what `dfip up` said", data.with_name(f"{data.name}.err").read_text())
    leaks.look_at_processes(mesh.everything())


def test_a_killed_mesh_comes_back_and_has_told_no_secret(tmp_path: Path) -> None:
    leaks = Leaks()
    leaks.secret("the camera's password", PASSWORD)
    with running_mesh(tmp_path / "data") as mesh:
        added = mesh.cli("camera", "add", "Gate", ADDRESS, "--start", "--json")
        assert added.returncode == 0, added.stderr
        leaks.look("the command", added.stdout + added.stderr)
        with mesh.client() as rest:
            camera_id = next(one["id"] for one in rest.get("/cameras").json())
            wait_until(lambda: has_tried(rest, camera_id), TRIED_WITHIN_S, mesh.logs())
            for said in (*conversation(rest, camera_id), events(rest)):
                leaks.look("an answer", said)
        for command in (("camera", "list"), ("status",), ("camera", "show", "Gate")):
            done = mesh.cli(*command)
            leaks.look(f"dfip {command}", done.stdout + done.stderr)
        looked_through(leaks, mesh)
        for process in mesh.everything():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        mesh.process.wait()
    # what was acknowledged is there after SIGKILL of everything at once
    with running_mesh(tmp_path / "data") as mesh:
        assert "Gate" in {
            line.split("\t")[1] for line in mesh.cli("camera", "list").stdout.splitlines()
        }
        looked_through(leaks, mesh)
        assert not leaks.found
        assert leaks.bytes_searched > 1_000_000
        # and this is how it looks when there is something
        (mesh.data_dir / "logs" / "planted.log").write_text(f"cannot open {ADDRESS}")
        waiting = [sys.executable, "-c", "input()", ADDRESS]
        with subprocess.Popen(waiting, stdin=subprocess.PIPE) as planted:
            leaks.look_below(mesh.data_dir)
            leaks.look_at_processes([psutil.Process(planted.pid)])
            planted.communicate(b"\n")
    assert leaks.found == [
        "the camera's password in logs/planted.log",
        f"the camera's password in process {sys.executable}",
    ]
