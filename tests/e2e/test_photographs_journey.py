"""Real photographs: who is enrolled is named, who is not never is, and what cannot be used is said.

Everything goes through the command and REST, as the README shows it.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.demo.clip_maker import make_demo_clip
from face_engine.engine import open_engine
from face_engine.pictures import decode_picture
from tests.support.media import media_path
from tests.support.mesh import Mesh, running_mesh

pytestmark = [pytest.mark.media, pytest.mark.timeout(180)]

ENROLLED = "First man"
MOST_TRACKS = 15


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    photos = [str(media_path(f"data/obama_{number}.jpg")) for number in (1, 2)]
    with running_mesh(tmp_path_factory.mktemp("photographs") / "data") as running:
        added = running.cli("person", "add", ENROLLED, *photos, "--json")
        assert added.returncode == 0, added.stderr
        assert json.loads(added.stdout)["face_count"] == 2
        yield running


def clip_of(mesh: Mesh, photo: str) -> Path:
    clip = mesh.media_root / f"{photo}.mp4"
    made = mesh.cli("demo", "--make-clip", str(media_path(f"data/{photo}.jpg")), str(clip))
    assert made.returncode == 0, made.stderr
    return clip


def short_clip_of(mesh: Mesh, photo: str) -> Path:
    """Make what the command makes, but shorter, for a test that watches all of it."""
    clip = mesh.media_root / f"{photo}.mp4"
    with open_engine("builtin") as engine:
        make_demo_clip(media_path(f"data/{photo}.jpg"), clip, seconds=7, engine=engine)
    return clip


def start(mesh: Mesh, name: str, url: str) -> str:
    added = mesh.cli("camera", "add", name, url, "--start", "--json")
    assert added.returncode == 0, added.stderr
    return str(json.loads(added.stdout)["id"])


def until(
    mesh: Mesh, camera_id: str, enough: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Return the camera's events up to the first that is enough; silence of 40 s fails the test."""
    seen: list[dict[str, Any]] = []
    with (
        mesh.client() as rest,
        rest.stream("GET", "/events.ndjson", params={"camera_id": camera_id}, timeout=40) as stream,
    ):
        try:
            for line in stream.iter_lines():
                if line.strip() and (event := json.loads(line).get("event")):
                    seen.append(event)
                    if enough(event):
                        return seen
        except httpx.ReadTimeout:
            pass
    raise AssertionError(f"not enough among {[event['type'] for event in seen]}\n{mesh.logs()}")


def is_sighting(event: dict[str, Any]) -> bool:
    return bool(event["type"].startswith("sighting."))


def test_a_third_photograph_of_an_enrolled_man_is_a_match(mesh: Mesh) -> None:
    camera_id = start(mesh, "third", str(clip_of(mesh, "obama_3")))
    seen = until(
        mesh, camera_id, lambda e: is_sighting(e) and e["sighting"]["decision"] == "match"
    )[-1]["sighting"]
    assert seen["person_name"] == ENROLLED
    assert seen["score"] >= seen["threshold"]
    with mesh.client() as rest:
        evidence = rest.get(f"/sightings/{seen['id']}").json()["data"]["evidence"]
        face, whole = (rest.get(f"/sightings/{seen['id']}/{of}") for of in ("image", "context"))
    assert evidence["candidates"][0]["person_name"] == ENROLLED
    assert decode_picture(whole.content).shape == (360, 640, 3)
    assert max(decode_picture(face.content).shape) <= 320
    stopped = mesh.cli("camera", "stop", "third")
    assert stopped.returncode == 0, stopped.stderr


def test_a_stranger_is_unknown_and_never_named(mesh: Mesh) -> None:
    camera_id = start(mesh, "stranger", str(short_clip_of(mesh, "biden_1")))
    # two rounds of the clip: the second sighting begins after the first was decided for good
    ids: set[str] = set()

    def twice(event: dict[str, Any]) -> bool:
        if is_sighting(event):
            ids.add(event["sighting"]["id"])
        return len(ids) == 2

    events = [event for event in until(mesh, camera_id, twice) if is_sighting(event)]
    assert {event["sighting"]["decision"] for event in events} == {"unknown"}
    assert {event["sighting"]["person_id"] for event in events} <= {""}
    with mesh.client() as rest:
        listed = rest.get("/sightings", params={"camera_id": camera_id}).json()["data"]
    assert {(s["decision"], s["person_name"]) for s in listed} == {("unknown", "")}
    mesh.cli("camera", "stop", "stranger")


def test_a_concert_makes_few_tracks_and_names_nobody(mesh: Mesh) -> None:
    clip = mesh.media_root / "stage.mp4"
    clip.write_bytes(media_path("data/stage_clip.mp4").read_bytes())
    camera_id = start(mesh, "stage", f"{clip.as_uri()}?loop=false")

    def ended(event: dict[str, Any]) -> bool:
        return bool(event["type"] == "worker.stopped")

    until(mesh, camera_id, ended)
    with mesh.client() as rest:
        listed = rest.get("/sightings", params={"camera_id": camera_id}).json()["data"]
    assert 1 <= len(listed) <= MOST_TRACKS
    assert {sighting["decision"] for sighting in listed} <= {"unknown", "review"}


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        ("data/two_people.jpg", "2 faces were found"),
        ("data/README.md", "is not a picture"),
        ("data/stage_clip.mp4", "send a JPEG, PNG or WebP"),
    ],
)
def test_a_photograph_that_cannot_be_used_is_a_sentence(
    mesh: Mesh, photo: str, sentence: str
) -> None:
    path = media_path(photo)
    refused = mesh.cli("person", "add", "Nobody", str(path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{path}: ")
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    people = json.loads(mesh.cli("person", "list", "--json").stdout)
    assert [person["name"] for person in people] == [ENROLLED]


def test_the_same_face_is_not_enrolled_as_somebody_else(mesh: Mesh) -> None:
    refused = mesh.cli("person", "add", "Second man", str(media_path("data/obama_partial.jpg")))
    assert refused.returncode == 5
    assert ENROLLED in refused.stderr
    forced = mesh.cli(
        "person", "add", "Second man", str(media_path("data/obama_partial.jpg")), "--force"
    )
    assert forced.returncode == 0, forced.stderr
    erased = mesh.cli("person", "rm", "Second man", "--yes", "--json")
    assert json.loads(erased.stdout)["faces"] == 1
