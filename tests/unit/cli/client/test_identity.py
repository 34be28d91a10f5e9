"""Labels, searches and merges from the command line, against a control plane in this process."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from cli.client.access import Access
from cli.client.identity import add_faces, label_sighting, merge_persons, search_photo
from cli.client.photos import Photo
from cli.failures import CommandFailed
from cli.output import Output
from cli.talk import Talk
from tests.support.fake_index import found, vector
from tests.support.people import PeopleSite, running_people_site
from tests.support.sightings import Reports, report

PIPED, JSON = Output(as_json=False), Output(as_json=True)
Captured = pytest.CaptureFixture[str]


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[PeopleSite]:
    async with running_people_site(tmp_path, listen="127.0.0.1:0") as site:
        yield site


def access(site: PeopleSite) -> Access:
    target = site.site.target
    return Access(server=f"http://{target}", target=target, token=site.site.token("operator"))


def photo(data: bytes) -> Photo:
    return Photo(path=Path("photo.jpg"), content_type="image/jpeg", data=data)


async def test_a_sighting_is_moved_to_a_person_by_name(site: PeopleSite, capsys: Captured) -> None:
    await site.person("Ada")
    reports = await Reports.open(site.site)
    seen = report("unknown")
    await reports.send(seen)
    await label_sighting(access(site), PIPED, sighting=seen.id, label="move", person="Ada")
    fields = capsys.readouterr().out.split("\t")
    assert (fields[0], fields[3], fields[5]) == (seen.id, "match", "Ada")


async def test_a_search_tells_people_and_past_sightings(site: PeopleSite, capsys: Captured) -> None:
    ada = await site.person("Ada")
    await site.enrol(ada.id, vector(1))
    reports = await Reports.open(site.site)
    seen = report("match", ada.id)
    await reports.send(seen)
    picture = photo(site.photograph("one", found(vector(1, 0.1))))
    since = datetime(2025, 12, 31, tzinfo=UTC)
    await search_photo(
        access(site), PIPED, Talk(), photo=picture, camera="door", since=since, until=None
    )
    out, err = capsys.readouterr()
    fields = out.rstrip("\n").split("\t")
    assert (fields[0], fields[1], fields[2], fields[6]) == ("match", ada.id, "Ada", seen.id)
    assert "1 past sightings were compared" in err
    assert seen.id in err
    await search_photo(access(site), JSON, Talk(), photo=picture, camera="", since=None, until=None)
    (face,) = json.loads(capsys.readouterr().out)
    assert (face["decision"], face["sightings"]) == ("match", [])


async def test_faces_are_added_from_photographs_and_sightings(
    site: PeopleSite, capsys: Captured
) -> None:
    ada = await site.person("Ada")
    reports = await Reports.open(site.site)
    seen = report("unknown", face=vector(0, 1))
    await reports.send(seen)
    picture = photo(site.photograph("one", found(vector(1))))
    await add_faces(
        access(site), PIPED, Talk(), person="Ada", photos=[picture], sighting=seen.id, force=False
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == [ada.id, ada.id]
    with pytest.raises(CommandFailed, match="enrolled already"):
        await add_faces(
            access(site), PIPED, Talk(), person="Ada", photos=[picture], sighting="", force=False
        )


async def test_two_records_are_merged_by_name(site: PeopleSite, capsys: Captured) -> None:
    ada, bert = await site.person("Ada"), await site.person("Bert")
    await site.enrol(bert.id, vector(1))
    await merge_persons(access(site), PIPED, stays="Ada", goes="Bert")
    assert capsys.readouterr().out.split("\t")[:3] == [ada.id, "Ada", "1"]
    with pytest.raises(CommandFailed, match="No person is called 'Bert'"):
        await merge_persons(access(site), PIPED, stays="Ada", goes="Bert")
