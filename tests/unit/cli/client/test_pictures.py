"""`dfip camera snapshot` and `dfip camera live` against a real server."""

import json
import webbrowser
from pathlib import Path

import pytest

from cli.client.pictures import save_snapshot, show_live
from cli.failures import CommandFailed
from cli.output import Output
from cli.talk import Talk
from tests.unit.cli.client.site import JPEG, World, serving

PIPED, JSON = Output(as_json=False), Output(as_json=True)


async def save(world: World, file: str, output: Output = PIPED, *, plain: bool = False) -> None:
    async with serving(world) as access:
        await save_snapshot(
            access, output, Talk(), camera="door", file=file, longest_side=640, plain=plain
        )


async def test_a_snapshot_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    camera = world.add_camera("door")
    file = tmp_path / "door.jpg"
    await save(world, str(file))
    assert file.read_bytes() == JPEG
    await save(world, str(file), JSON, plain=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"file": str(file), "bytes": len(JPEG)}
    assert err == f"{file}: {len(JPEG)} bytes.\n"
    asked = [(one.camera_id, one.longest_side, one.annotated) for one in world.snapshots]
    assert asked == [(camera.id, 640, True), (camera.id, 640, False)]


async def test_a_snapshot_goes_into_a_pipe(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    world = World()
    world.add_camera("door")
    await save(world, "-")
    assert capfdbinary.readouterr().out == JPEG


async def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    world = World()
    world.add_camera("door")
    with pytest.raises(CommandFailed, match="No such file"):
        await save(world, str(tmp_path / "nowhere" / "door.jpg"))


async def test_live_is_an_address_for_a_browser(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    camera = world.add_camera("door")
    opened: list[str] = []
    may_open = [True, False]  # the second time, there is no browser

    def opening(url: str) -> bool:
        opened.append(url)
        return may_open.pop(0)

    monkeypatch.setattr(webbrowser, "open", opening)
    async with serving(world) as access:
        url = f"{access.server}/cameras/c/live?ticket=t"
        for show in (False, True, True):
            await show_live(access, PIPED, Talk(), camera="door", show=show)
    assert opened == [url, url]
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [url, url]
    assert {(one.purpose, one.object_id) for one in world.tickets} == {("live", camera.id)}
