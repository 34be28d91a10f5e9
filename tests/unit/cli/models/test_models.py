"""`dfip models`: which pictures are taken, and what is said where they do not suffice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.__main__ import run
from cli.client.access import Access
from cli.client.identity import label_sighting
from cli.failures import CommandFailed, ExitCode
from cli.models.faces import (
    LabelledPicture,
    faces_of,
    pictures_of_folder,
    pictures_of_sightings,
)
from cli.output import Output
from face_engine.engine import FaceEngine
from tests.support.astronaut import skimage_data
from tests.support.packs import builtin_engine, builtin_pack
from tests.support.people import PeopleSite, running_people_site
from tests.support.sightings import Reports, report

__all__ = ["builtin_engine", "builtin_pack"]


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[PeopleSite]:
    async with running_people_site(tmp_path, listen="127.0.0.1:0") as site:
        yield site


def portrait() -> bytes:
    return skimage_data("astronaut.png").read_bytes()


def test_folders_within_a_folder_label_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    for name in ("b.PNG", "a.jpg", "ann/c.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    found = [(picture.name, picture.label) for picture in pictures_of_folder(tmp_path)]
    assert found == [("a.jpg", None), ("c.webp", "ann"), ("b.PNG", None)]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder.rmdir(), "There is no folder"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "No picture is in"),
        (lambda folder: (folder / "a.jpg").touch(), "is empty"),
    ],
    ids=["none", "no pictures", "empty file"],
)
def test_a_folder_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, make: "object", sentence: str
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    assert callable(make)
    make(folder)
    with pytest.raises(CommandFailed, match=sentence):
        list(pictures_of_folder(folder))


def test_faces_are_found_and_what_is_no_picture_is_counted(builtin_engine: FaceEngine) -> None:
    shown: list[float] = []
    pictures = [
        LabelledPicture(name="a", label="eileen", data=portrait()),
        LabelledPicture(name="b", label="eileen", data=b"no picture"),
        LabelledPicture(name="c", label=None, data=skimage_data("coffee.png").read_bytes()),
    ]
    faces = faces_of(builtin_engine, pictures, total=3, shown=shown.append)
    assert (faces.chips.shape, list(faces.labels)) == ((1, 150, 150, 3), ["eileen"])
    assert (faces.pictures, faces.unreadable) == (3, 1)
    assert shown[-1] == 1.0


async def test_crops_of_good_sightings_are_taken_and_only_a_person_labels_them(
    site: PeopleSite,
) -> None:
    ada = await site.person("Ada")
    reports = await Reports.open(site.site)
    target = site.site.target
    operator = Access(server=f"http://{target}", target=target, token=site.site.token("operator"))
    with pytest.raises(CommandFailed, match="no sighting with a good look"):
        await pictures_of_sightings(operator, limit=100)
    jpeg = b"\xff\xd8\xff"
    named, moved = report("match", ada.id, crop=jpeg + b"1"), report("unknown", crop=jpeg + b"2")
    without, poor = report("unknown"), report("unknown", crop=jpeg + b"3", verdict="poor")
    await reports.send(named, moved, without, poor)
    await label_sighting(
        operator, Output(as_json=False), sighting=moved.id, label="move", person="Ada"
    )
    found = await pictures_of_sightings(operator, limit=100)
    assert {(picture.name, picture.label, picture.data) for picture in found} == {
        (named.id, None, jpeg + b"1"),
        (moved.id, ada.id, jpeg + b"2"),
    }


@pytest.mark.usefixtures("builtin_pack")
def test_too_few_faces_end_with_what_was_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(portrait())
    assert run(["models", "quantize", "builtin", "--pictures", str(tmp_path)]) == ExitCode.FAILED
    told = capsys.readouterr().err
    assert "1 usable faces are too few" in told
    assert "1 usable faces in 1 pictures" in told


@pytest.mark.usefixtures("builtin_pack")
def test_packs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == ExitCode.OK
    listed = {pack["pack_id"]: pack for pack in json.loads(capsys.readouterr().out)}
    assert {"builtin", "yunet-dlib"} <= set(listed)
    assert (listed["builtin"]["precision"], listed["builtin"]["prepared"]) == ("fp32", True)
