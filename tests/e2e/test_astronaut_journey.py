"""The whole mesh: a face on a stream becomes a sighting, and stays one whatever dies.

One mesh serves the tests of this file in their order; the last one ends it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.demo.clip_maker import astronaut_photo, make_demo_clip
from cli.demo.footage import ASTRONAUT
from face_engine.pictures import decode_picture
from tests.support.mesh import SERVICES, Mesh, is_gone, running_mesh, wait_until

pytestmark = pytest.mark.timeout(180)

HEALED_WITHIN_S = 15.0
ENDED_WITHIN_S = 10.0


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running_mesh(tmp_path_factory.mktemp("mesh") / "data") as running:
        yield running


@pytest.fixture
def rest(mesh: Mesh) -> Iterator[httpx.Client]:
    with mesh.client() as client:
        yield client


@pytest.fixture(scope="module")
def camera_id(mesh: Mesh) -> str:
    """Enrol the astronaut, register the camera, start it; returns the camera's id."""
    clip = mesh.media_root / "astronaut.mp4"
    make_demo_clip(astronaut_photo(), clip, seconds=7)
    with mesh.client() as rest:
        created = rest.post("/persons", json={"name": ASTRONAUT})
        assert created.status_code == 201, created.text
        person_id = created.json()["data"]["id"]
        face = rest.post(
            f"/persons/{person_id}/faces",
            content=astronaut_photo().read_bytes(),
            headers={"content-type": "image/png"},
        )
        assert face.status_code == 201, face.text
        everywhere = {"name": "hall", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
        camera = rest.post(
            "/cameras",
            json={
                "name": "Wall",
                "connection_string": clip.as_uri(),
                "zone_config": {"zones": [everywhere]},
            },
        )
        assert camera.status_code == 201, camera.text
        found = str(camera.json()["data"]["id"])
        started = rest.patch(f"/cameras/{found}/status", json={"status": "enabled"})
        assert started.status_code == 200, started.text
    return found


def events(rest: httpx.Client, **query: str) -> Iterator[dict[str, Any]]:
    """Yield events as they come; a silence of 30 s fails the test."""
    with rest.stream("GET", "/events.ndjson", params=query, timeout=30) as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.strip() and (event := json.loads(line).get("event")):
                yield event


def sightings_of(rest: httpx.Client, camera_id: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    query = {"camera_id": camera_id, "page_size": "1000"}
    while True:
        page = rest.get("/sightings", params=query)
        assert page.status_code == 200, page.text
        found |= {sighting["id"]: sighting for sighting in page.json()["data"]}
        query["page_token"] = page.json()["next_page_token"]
        if not query["page_token"]:
            return found


def test_the_astronaut_is_seen_and_named(mesh: Mesh, rest: httpx.Client, camera_id: str) -> None:
    seen = next(
        event["sighting"]
        for event in events(rest, camera_id=camera_id)
        if event["type"].startswith("sighting.") and event["sighting"]["decision"] == "match"
    )
    assert seen["person_name"] == ASTRONAUT, mesh.logs()
    assert seen["score"] >= seen["threshold"] > 0
    assert all(0 <= seen["box"][side] <= 1 for side in ("x", "y", "width", "height"))
    read = rest.get(f"/sightings/{seen['id']}").json()["data"]
    evidence = read["evidence"]
    closest = evidence["candidates"][0]
    assert (read["person_name"], closest["person_name"]) == (ASTRONAUT, ASTRONAUT)
    assert closest["person_id"] == seen["person_id"]
    assert closest["score"] == pytest.approx(read["score"], abs=1e-3)
    assert (evidence["pack_id"], evidence["votes"] >= 1) == ("builtin", True)
    picture = rest.get(f"/sightings/{seen['id']}/image")
    assert picture.headers["content-type"] == "image/jpeg"
    whole = rest.get(f"/sightings/{seen['id']}/context")
    assert whole.headers["content-type"] == "image/jpeg"
    assert whole.content != picture.content
    assert picture.content[:3] == b"\xff\xd8\xff"


def test_what_the_camera_sees_can_be_looked_at(
    mesh: Mesh, rest: httpx.Client, camera_id: str, tmp_path: Path
) -> None:
    saved = tmp_path / "wall.jpg"
    done = mesh.cli("camera", "snapshot", "Wall", str(saved), "--longest-side", "640")
    assert done.returncode == 0, done.stderr
    shown = decode_picture(saved.read_bytes())
    assert max(shown.shape) <= 640
    assert shown.std() > 10
    url = json.loads(mesh.cli("camera", "live", "Wall", "--json").stdout)["url"]
    with httpx.stream("GET", url, timeout=30, trust_env=False) as live:
        assert live.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=")
        held = b""
        for chunk in live.iter_raw():
            held += chunk
            pictures = re.findall(rb"\r\n\r\n(\xff\xd8\xff.+?)\r\n--", held, re.DOTALL)
            if len({bytes(picture) for picture in pictures}) >= 3:
                break
    assert all(decode_picture(picture).size for picture in pictures)
    looks = rest.get("/audit", params={"object_id": camera_id}).json()["data"]
    assert {"snapshot.get", "live.stream"} <= {look["action"] for look in looks}


def test_the_commands_show_the_same(mesh: Mesh, camera_id: str) -> None:
    listed = mesh.cli("camera", "list")
    assert listed.stdout.split("\t")[:4] == [camera_id, "Wall", "running", "running"]
    (sighting, *_) = json.loads(mesh.cli("sightings", "--person", ASTRONAUT, "--json").stdout)
    assert sighting["person_name"] == ASTRONAUT
    examined = mesh.cli("doctor", "--data-dir", str(mesh.data_dir), "-o", "json")
    assert examined.stdout, examined.stderr
    findings = {found["check"]: found for found in json.loads(examined.stdout)}
    services = ("control_plane", "camera_manager", "identity_index", "database", "keys")
    assert {findings[name]["verdict"] for name in services} == {"ok"}, findings
    status = mesh.cli("status", "--json")
    assert status.returncode == 0, status.stderr
    states = {
        service["name"]: service["state"] for service in json.loads(status.stdout)["services"]
    }
    assert set(states.values()) == {"serving"}
    followed = mesh.cli("sightings", "--follow", "--limit", "1", "--json")
    assert json.loads(followed.stdout)["camera_id"] == camera_id


def test_people_are_counted_by_zone(mesh: Mesh, camera_id: str) -> None:
    def most(zone: str) -> int:
        told = mesh.cli("occupancy", camera_id, "--zone", zone, "--json")
        assert told.returncode == 0, told.stderr
        return max((bucket["occupancy_max"] for bucket in json.loads(told.stdout)), default=0)

    # she is there for most of each round of the clip, and is counted every 5 s
    wait_until(lambda: most("hall") == 1, 30, f"she is counted\n{mesh.logs()}")
    assert most("") == 1


def test_refused_photographs_are_sentences(mesh: Mesh, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("This is not a picture.")
    refused = mesh.cli("person", "add", "Nobody", str(tmp_path / "text.jpg"))
    assert refused.returncode == 1
    assert "text.jpg: " in refused.stderr
    assert "is not kept" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert json.loads(mesh.cli("person", "list", "--json").stdout)[0]["name"] == ASTRONAUT


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_process_is_healed_and_no_sighting_is_lost(
    mesh: Mesh, rest: httpx.Client, camera_id: str, service: str
) -> None:
    wait_until(lambda: len(mesh.processes()[service]) == 1, HEALED_WITHIN_S, f"{service} runs")
    before = sightings_of(rest, camera_id)
    (victim,) = mesh.processes()[service]
    victim.kill()
    killed = time.monotonic()

    def healed() -> bool:
        living = [p for p in mesh.processes()[service] if p.pid != victim.pid]
        return len(living) == 1 and mesh.is_healthy() and worker_runs()

    def worker_runs() -> bool:
        answer = rest.get("/cameras/runtime")
        if answer.status_code != 200:
            return False
        (camera,) = answer.json()["data"]
        return bool(camera["runtime"]["worker_status"] == "running")

    wait_until(healed, HEALED_WITHIN_S, f"{service} is back\n{mesh.logs()}")
    # healed is what sees again: she appears in every round of the clip, which takes 7 s
    newest = next(
        event["sighting"]
        for event in events(rest, camera_id=camera_id)
        if event["type"] == "sighting.created"
    )
    after = sightings_of(rest, camera_id)
    assert set(before) <= set(after)
    assert newest["id"] in after
    assert newest["id"] not in before
    assert time.monotonic() - killed < HEALED_WITHIN_S + 15


def test_sigterm_ends_every_process(mesh: Mesh, camera_id: str) -> None:
    assert camera_id
    everything = mesh.everything()
    assert len(everything) >= 1 + len(SERVICES)
    mesh.process.send_signal(signal.SIGTERM)
    took = wait_until(
        lambda: mesh.process.poll() is not None, ENDED_WITHIN_S, f"dfip up ended\n{mesh.logs()}"
    )
    assert mesh.process.returncode == 0
    assert took < ENDED_WITHIN_S
    assert [process.cmdline() for process in everything if not is_gone(process)] == []


def test_the_demo_ends_with_0_at_the_first_match_and_leaves_nothing(tmp_path: Path) -> None:
    demo = subprocess.run(
        [
            *(sys.executable, "-m", "cli", "demo", "--until-match", "--timeout", "90"),
            *("--http-port", "0", "--data-dir", str(tmp_path / "data"), "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert demo.returncode == 0, demo.stderr
    last = json.loads(demo.stdout.splitlines()[-1])
    assert (last["decision"], last["person_name"]) == ("match", ASTRONAUT)


def test_sigkill_of_dfip_up_ends_every_process(tmp_path: Path) -> None:
    with running_mesh(tmp_path / "data") as mesh:
        clip = mesh.media_root / "clip.mp4"
        make_demo_clip(astronaut_photo(), clip, seconds=6)
        added = mesh.cli("camera", "add", "Wall", str(clip), "--start")
        assert added.returncode == 0, added.stderr
        wait_until(lambda: len(mesh.processes()["vision_worker"]) == 1, 15, "the worker runs")
        everything = mesh.everything()
        os.kill(mesh.process.pid, signal.SIGKILL)
        mesh.process.wait()
        wait_until(
            lambda: all(is_gone(process) for process in everything),
            ENDED_WITHIN_S,
            f"nobody is left of {[p.name() for p in everything if not is_gone(p)]}",
        )
