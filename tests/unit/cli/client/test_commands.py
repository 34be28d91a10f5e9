"""The client commands against a real server: what is asked, what is printed, how it fails."""

import json
import socket
from pathlib import Path

import pytest

from cli.client.access import find_access
from cli.client.cameras import add_camera, list_cameras, remove_camera, set_camera_status
from cli.client.persons import add_person, print_persons, remove_person
from cli.client.photos import Photo
from cli.client.sightings import follow_sightings, list_sightings
from cli.client.status import show_status
from cli.client.tokens import issue_token
from cli.failures import CommandFailed, ExitCode
from cli.output import Output
from cli.talk import Talk
from dfip.control_plane.v1 import person_pb2, sighting_pb2
from tests.unit.cli.client.site import REQUEST_ID, World, serving

PIPED, JSON = Output(as_json=False), Output(as_json=True)
Captured = pytest.CaptureFixture[str]


def photo(name: str, data: bytes) -> Photo:
    return Photo(path=Path(name), content_type="image/jpeg", data=data)


async def test_a_camera_is_added_started_by_name_and_removed(capsys: Captured) -> None:
    world = World()
    async with serving(world) as access:
        await add_camera(
            access,
            PIPED,
            name="door",
            connection_string="rtsp://user:pass@h/s",
            location="hall\there",
            description="",
            start=False,
        )
        (camera,) = world.cameras.values()
        assert capsys.readouterr().out == f"{camera.id}\tdoor\tstopped\thall\\there\n"
        await set_camera_status(access, JSON, camera="door", status="enabled")
        assert json.loads(capsys.readouterr().out)["desired_state"] == "running"
        await set_camera_status(access, PIPED, camera=camera.id, status="disabled")
        assert capsys.readouterr().out.split("\t")[2] == "stopped"
        await remove_camera(access, PIPED, Talk(), camera="door")
    assert world.cameras == {}
    assert world.urls == ["rtsp://user:pass@h/s"]


async def test_cameras_are_listed_with_their_trouble(capsys: Captured) -> None:
    world = World()
    camera = world.add_camera("door")
    async with serving(world) as access:
        await list_cameras(access, PIPED, Talk())
    out, err = capsys.readouterr()
    assert err == "door: Nothing listens there; check the port.\n"
    fields = out.rstrip("\n").split("\t")
    assert fields == [
        camera.id,
        "door",
        "",
        "backoff",
        "unknown",
        "refused",
        "2026-01-02T03:04:05Z",
        "",
        "",
    ]


async def test_a_name_that_is_not_there_or_there_twice() -> None:
    world = World()
    world.add_camera("door")
    world.add_camera("door")
    async with serving(world) as access:
        with pytest.raises(CommandFailed, match="No camera is called 'gate'") as missing:
            await set_camera_status(access, PIPED, camera="gate", status="enabled")
        with pytest.raises(CommandFailed, match="2 cameras are called 'door'") as several:
            await set_camera_status(access, PIPED, camera="door", status="enabled")
    assert missing.value.code == ExitCode.NOT_FOUND
    assert several.value.code == ExitCode.CONFLICT


async def test_a_refusal_keeps_the_sites_sentence_its_fields_and_the_request_id() -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    async with serving(World()) as access:
        with pytest.raises(CommandFailed) as invalid:
            await add_camera(
                access,
                PIPED,
                name="x",
                connection_string="ftp://h",
                location="",
                description="",
                start=False,
            )
        with pytest.raises(CommandFailed) as missing:
            await set_camera_status(access, PIPED, camera=unknown, status="enabled")
    assert invalid.value.what == "It is no camera."
    assert invalid.value.why == "X\nconnection_string: is too long"
    assert invalid.value.code == ExitCode.FAILED
    assert missing.value.code == ExitCode.NOT_FOUND
    assert missing.value.request_id == REQUEST_ID


async def test_a_person_is_enrolled_listed_and_erased_with_a_receipt(capsys: Captured) -> None:
    world = World()
    photos = [photo("a.jpg", b"a"), photo("b.jpg", b"b")]
    async with serving(world) as access:
        await add_person(access, PIPED, Talk(), name="Ada", photos=photos)
        (person,) = world.people.values()
        assert capsys.readouterr().out == f"{person.id}\tAda\t2\t\n"
        await print_persons(access, JSON)
        assert [p["name"] for p in json.loads(capsys.readouterr().out)] == ["Ada"]
        await remove_person(access, JSON, person="Ada")
        receipt = json.loads(capsys.readouterr().out)
    assert (receipt["person_id"], receipt["faces"]) == (person.id, 2)
    assert world.people == {}


async def test_a_refused_photograph_is_named_and_the_others_count(capsys: Captured) -> None:
    world = World(refused_photos={b"b": "There are two faces."})
    photos = [photo("a.jpg", b"a"), photo("b.jpg", b"b")]
    async with serving(world) as access:
        with pytest.raises(CommandFailed) as refused:
            await add_person(access, PIPED, Talk(), name="Ada", photos=photos)
    (person,) = world.people.values()
    assert person.face_count == 1
    assert refused.value.sentence == "b.jpg: There are two faces."
    assert capsys.readouterr().out.startswith(person.id)


async def test_a_person_without_any_face_is_not_kept(capsys: Captured) -> None:
    world = World(refused_photos={b"a": "There is no face."})
    async with serving(world) as access:
        with pytest.raises(CommandFailed, match="Ada is not kept") as refused:
            await add_person(access, PIPED, Talk(), name="Ada", photos=[photo("a.jpg", b"a")])
    assert world.people == {}
    assert refused.value.request_id == REQUEST_ID
    assert capsys.readouterr().out == ""


async def test_people_are_found_over_several_pages(capsys: Captured) -> None:
    world = World()
    for number in range(3):
        world.people[str(number)] = person_pb2.Person(id=str(number), name=f"Ada {number}")
    async with serving(world) as access:
        await print_persons(access, PIPED)
        assert len(capsys.readouterr().out.splitlines()) == 3
        await remove_person(access, PIPED, person="Ada 2")
    assert set(world.people) == {"0", "1"}


def seen(
    number: int, *, camera_id: str = "", person_id: str = "", person_name: str = ""
) -> sighting_pb2.Sighting:
    sighting = sighting_pb2.Sighting(
        id=f"s{number}",
        camera_id=camera_id,
        decision="match",
        person_id=person_id,
        person_name=person_name,
        score=0.75,
        threshold=0.5,
        frames=number,
    )
    sighting.started_at.FromJsonString("2026-01-02T03:04:05Z")
    return sighting


async def test_sightings_are_listed_in_full(capsys: Captured) -> None:
    world = World()
    camera = world.add_camera("door")
    world.sightings = [seen(n, camera_id=camera.id, person_name="Ada") for n in range(3)]
    async with serving(world) as access:
        await list_sightings(access, PIPED, camera="door", person="", limit=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        [
            f"s{n}",
            "2026-01-02T03:04:05Z",
            camera.id,
            "match",
            "",
            "Ada",
            "0.750",
            "0.500",
            "",
            str(n),
            "0.00",
        ]
        for n in range(2)
    ]


async def test_following_goes_on_where_the_connection_broke(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.client.sightings._RECONNECT_S", 0)
    world = World(sightings=[seen(n, person_id=str(n % 2)) for n in range(4)])
    async with serving(world) as access:
        await follow_sightings(access, JSON, Talk(), camera="", person="", limit=4)
    out, err = capsys.readouterr()
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["s0", "s1", "s2", "s3"]
    assert world.resumed_with == ["", "1"]
    assert "following goes on" in err


async def test_status_shows_what_is_there_and_what_is_away(capsys: Captured) -> None:
    world = World(manager_away=True)
    world.add_camera("door")
    async with serving(world) as access:
        with pytest.raises(CommandFailed, match="Several services are away") as failed:
            await show_status(access, JSON, Talk())
    assert failed.value.code == ExitCode.UNAVAILABLE
    shown = json.loads(capsys.readouterr().out)
    states = {service["name"]: service["state"] for service in shown["services"]}
    assert states == {
        "control_plane": "serving",
        "camera_manager": "away",
        "identity_index": "away",
    }
    assert shown["cameras"][0]["runtime"]["failure_reason"] == "refused"
    assert shown["workers"] == []


async def test_a_token_stands_alone_on_standard_output(capsys: Captured) -> None:
    world = World()
    camera = world.add_camera("door")
    async with serving(world) as access:
        await issue_token(
            access,
            PIPED,
            Talk(),
            role="worker",
            cameras=["door"],
            subject="mine",
            lifetime_s=3600,
        )
    assert capsys.readouterr().out == "a.b.c\n"
    (asked,) = world.tokens
    assert (asked.role, asked.camera_id, asked.lifetime_s) == ("worker", camera.id, 3600)


async def test_a_site_that_is_away_altogether_is_said_once(capsys: Captured) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{bound.getsockname()[1]}"
        access = find_access(server, None, {"DFIP_TOKEN": "any"})
        with pytest.raises(CommandFailed, match="does not answer") as failed:
            await show_status(access, PIPED, Talk())
    assert failed.value.code == ExitCode.UNAVAILABLE
    assert capsys.readouterr().out == ""
