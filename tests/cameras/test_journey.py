"""The whole mesh before a real camera: a face behind a password becomes a sighting in the database.

`dfip up` runs as an operator starts it, and the camera is lost and found again on the way.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.demo.clip_maker import astronaut_photo
from cli.demo.footage import ASTRONAUT
from tests.cameras.gstreamer import PASSWORD, USER, rtsp_server
from tests.support.astronaut import astronaut
from tests.support.leaks import Leaks
from tests.support.mesh import Mesh, running_mesh, wait_until
from tests.support.reels import face_passing_by, reel

pytestmark = pytest.mark.timeout(180)
NOTICED_S = 12.0  # and told to the control plane
RECOVERED_S = 15.0


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    arguments = ("--camera-networks", "127.0.0.0/8")
    with running_mesh(tmp_path / "data", *arguments) as running:
        yield running


def runtime(rest: httpx.Client) -> tuple[str, str]:
    (camera,) = rest.get("/cameras/runtime").json()["data"]
    return camera["runtime"]["worker_status"], camera["runtime"]["failure_reason"]


def matches(rest: httpx.Client) -> set[str]:
    listed = rest.get("/sightings", params={"page_size": "100"}).json()["data"]
    return {seen["id"] for seen in listed if seen["decision"] == "match"}


def test_a_face_behind_a_password_is_seen_and_named(mesh: Mesh, tmp_path: Path) -> None:
    pictures = face_passing_by(astronaut(), 100)
    gone = [picture * 0 for picture in pictures[:50]]  # else she never leaves, and is seen once
    clip = reel(pictures + gone)
    with mesh.client() as rest:
        created = rest.post("/persons", json={"name": ASTRONAUT})
        person_id = created.json()["data"]["id"]
        face = rest.post(
            f"/persons/{person_id}/faces",
            content=astronaut_photo().read_bytes(),
            headers={"content-type": "image/png"},
        )
        assert face.status_code == 201, face.text
        with rtsp_server(tmp_path) as server:
            url = server.mount("door", clip, guarded=True)
            url = url.replace("://", f"://{USER}:{PASSWORD}@")
            made = rest.post("/cameras", json={"name": "Door", "connection_string": url})
            assert made.status_code == 201, made.text
            camera_id = made.json()["data"]["id"]
            rest.patch(f"/cameras/{camera_id}/status", json={"status": "enabled"})
            wait_until(lambda: bool(matches(rest)), 60, f"she is named\n{mesh.logs()}")
            server.kill()
            wait_until(lambda: runtime(rest)[0] == "backoff", NOTICED_S, "its loss is told")
            assert runtime(rest)[1] in ("ended", "refused")
            before = matches(rest)
        again = (server.port, server.guarded_port)
        with rtsp_server(tmp_path, ports=again) as server:
            server.mount("door", clip, guarded=True)
            rest.post(f"/cameras/{camera_id}:retry")
            wait_until(lambda: runtime(rest)[0] == "running", RECOVERED_S, "it is back")
            wait_until(lambda: bool(matches(rest) - before), 30, "she is seen again")
    leaks = Leaks()
    leaks.secret("the camera's password", PASSWORD)
    leaks.look("the logs", mesh.logs())
    leaks.look("what is listed", json.dumps(mesh.cli("camera", "list", "--json").stdout))
    leaks.look_at_processes(mesh.everything())
    assert not leaks.found
