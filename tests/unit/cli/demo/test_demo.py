"""The demo's parts: what it watches, what it says to the site, how it looks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.client.photos import Photo
from cli.demo.clips import demo_clip_in_the_making
from cli.demo.footage import ASTRONAUT, Subject, footage_of, subjects_of
from cli.demo.journey import enrol, register_camera
from cli.demo.rest import RestSite
from cli.demo.show import Show, describe_sighting
from cli.failures import CommandFailed, ExitCode
from cli.forms import Form
from cli.output import Output
from cli.supervisor.site import Site
from cli.talk import Talk
from service_runtime.secret import Secret

SIGHTING = {
    "id": "s1",
    "decision": "unknown",
    "person_name": "",
    "score": 0.25,
    "threshold": 0.5,
    "frames": 4,
    "started_at": "2026-01-02T03:04:05Z",
}


def test_without_a_source_the_astronaut_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path))
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "astronaut-1.mp4").touch()
    with footage_of("", ()) as footage:
        assert [subject.name for subject in footage.subjects] == [ASTRONAUT]
        assert not isinstance(footage.watched, str)
        assert footage.watched.wait() == tmp_path / "demo" / "astronaut-1.mp4"


def test_the_demo_clip_is_made_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path))
    with demo_clip_in_the_making() as making:
        clip = making.wait()
        made = clip.stat()
    with demo_clip_in_the_making() as making:
        assert making.wait() == clip
    assert clip.stat() == made
    assert made.st_size > 100_000


def test_a_clip_that_nobody_waits_for_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path))
    with demo_clip_in_the_making():
        pass
    assert not list(tmp_path.rglob("*.mp4"))


def test_a_cache_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(CommandFailed, match="DFIP_CACHE_DIR"), demo_clip_in_the_making():
        pass


def test_a_file_brings_its_folder_and_a_url_does_not(tmp_path: Path) -> None:
    (tmp_path / "my film.mp4").touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "my film.mp4")
    with footage_of(str(tmp_path / "link.mp4"), ()) as footage:
        assert footage.watched == f"file://{tmp_path}/my%20film.mp4"
        assert footage.media_root == tmp_path
    with footage_of("rtsp://camera/1", ()) as footage:
        assert (footage.watched, footage.media_root) == ("rtsp://camera/1", None)


def test_a_person_may_bring_several_photographs(tmp_path: Path) -> None:
    for name in ("a.jpg", "b=c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (ada,) = subjects_of([f"Ada={tmp_path}/a.jpg", f"Ada={tmp_path}/b=c.jpg"])
    assert (ada.name, len(ada.photos)) == ("Ada", 2)


@pytest.mark.parametrize("text", ["Ada", "=a.jpg", "Ada="])
def test_a_person_is_written_as_name_and_photo(text: str) -> None:
    with pytest.raises(CommandFailed, match="write --person NAME=PHOTO") as wrong:
        subjects_of([text])
    assert wrong.value.code == ExitCode.USAGE


class FakeSite:
    """Answers REST calls by path, and keeps what was sent."""

    def __init__(self, **answers: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((request.method, request.url.path))
        return self.answers[request.method.lower()](request)

    def rest(self) -> RestSite:
        return RestSite("http://site", Secret("t"), httpx.MockTransport(self))


def answer(body: Any, status: int = 200, **headers: str) -> Callable[..., httpx.Response]:
    return lambda _request: httpx.Response(status, json=body, headers=headers)


def photo() -> Photo:
    return Photo(path=Path("a.jpg"), content_type="image/jpeg", data=b"x")


async def test_a_person_is_enrolled_once() -> None:
    created = {"data": {"id": "p1"}}
    site = FakeSite(get=answer({"data": []}), post=answer(created, 201))
    async with site.rest() as rest:
        await enrol(rest, Subject(name="Ada", photos=(photo(),)))
    assert site.sent == [("GET", "/persons"), ("POST", "/persons"), ("POST", "/persons/p1/faces")]
    site = FakeSite(get=answer({"data": [{"name": "Ada", "face_count": 1}]}))
    async with site.rest() as rest:
        await enrol(rest, Subject(name="Ada", photos=(photo(),)))
    assert site.sent == [("GET", "/persons")]


async def test_a_refused_photograph_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/persons":
            return httpx.Response(201, json={"data": {"id": "p1"}})
        return httpx.Response(
            400, json={"message": "There is no face."}, headers={"x-request-id": "r1"}
        )

    site = FakeSite(get=answer({"data": []}), post=refuse)
    async with site.rest() as rest:
        with pytest.raises(CommandFailed, match=r"a\.jpg: There is no face\.") as refused:
            await enrol(rest, Subject(name="Ada", photos=(photo(),)))
    assert refused.value.request_id == "r1"


async def test_a_camera_of_an_earlier_demo_gets_the_new_address() -> None:
    site = FakeSite(
        get=answer([{"id": "c1", "name": "Demo camera"}]),
        patch=answer({"data": {"id": "c1"}}),
        post=answer({"data": {"id": "c2"}}, 201),
    )
    async with site.rest() as rest:
        assert await register_camera(rest, "Demo camera", "file:///a.mp4") == "c1"
        assert await register_camera(rest, "Other", "file:///a.mp4") == "c2"
    assert site.sent[1] == ("PATCH", "/cameras/c1")


async def test_events_are_read_line_by_line_and_a_broken_stream_just_ends() -> None:
    lines = '{"resume_token": "1"}\n\n{"event": {"type": "x"}, "resume_token": "2"}\n{"half'
    site = FakeSite(get=lambda _request: httpx.Response(200, text=lines))
    async with site.rest() as rest:
        found = [message async for message in rest.events("", camera_id="c1")]
    assert [message["resume_token"] for message in found] == ["1", "2"]


async def test_refused_events_are_said() -> None:
    site = FakeSite(get=answer({"message": "The token has expired."}, 401))
    async with site.rest() as rest:
        with pytest.raises(CommandFailed, match="The token has expired") as refused:
            [message async for message in rest.events("")]
    assert refused.value.code == ExitCode.NOT_ALLOWED


async def test_a_site_that_is_gone_is_unavailable() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x", request=request)

    async with FakeSite(get=gone).rest() as rest:
        with pytest.raises(CommandFailed, match="does not answer") as failed:
            await rest.get("/cameras")
    assert failed.value.code == ExitCode.UNAVAILABLE


def show(form: Form = Form.TABLE) -> Show:
    site = Site(
        data_dir=Path("/data"),
        runtime_dir=Path("/run"),
        media_root=Path("/media"),
        host="127.0.0.1",
        http_port=3001,
        pack_id="builtin",
    )
    return Show(site, Talk(), output=Output(form=form), goes_on=True)


def event(kind: str, **sighting: Any) -> dict[str, Any]:
    return {"type": kind, "sighting": SIGHTING | sighting}


def test_a_sighting_is_shown_again_only_for_a_new_decision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = show()
    shown.event(event("sighting.created"))
    shown.event(event("sighting.updated", frames=9))
    matched = shown.event(
        event("sighting.updated", decision="match", score=0.75, person_name="Ada")
    )
    assert shown.event({"type": "camera.enabled"}) is None
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines()] == ["unknown", "match"]
    assert matched is not None
    assert matched["person_name"] == "Ada"
    assert "http://127.0.0.1:3001/sightings/s1/image" in err
    assert shown.best_so_far().startswith("1 track was seen")


def test_the_closest_call_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    shown = show(Form.JSON)
    assert shown.best_so_far() == "nobody was seen."
    shown.event(event("sighting.created"))
    shown.event(event("sighting.created", id="s2", score=0.125))
    assert shown.best_so_far() == (
        "2 tracks were seen, the closest with score 0.250 against a threshold of 0.500."
    )
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["s1", "s2"]


def test_a_pipe_gets_values(capsys: pytest.CaptureFixture[str]) -> None:
    show(Form.TSV).event(event("sighting.created", camera_id="c1"))
    fields = capsys.readouterr().out.rstrip("\n").split("\t")
    assert [fields[0], fields[2], fields[3], fields[6]] == ["s1", "c1", "unknown", "0.25"]


def test_trouble_of_the_worker_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show().event({"type": "worker.error", "error": {"reason": "refused", "message": "No one."}})
    assert "trouble: refused (No one.)" in capsys.readouterr().err


def test_a_line_says_who_when_and_how_sure() -> None:
    line = describe_sighting(SIGHTING | {"margin": 0.125, "person_name": "Ada"})
    assert line.split()[1:] == (
        ["unknown", "Ada", "score", "0.250", "threshold", "0.500", "margin", "0.125", "frames", "4"]
    )
