"""A camera's spool over the end of its process, and over whatever its disk does."""

import os
import sqlite3
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from dfip.control_plane.v1 import telemetry_pb2
from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from tests.support.spool_formats import write_format_1
from tests.support.virtual_clock import VirtualClock
from tests.unit.vision_worker.spool.reports import (
    CAMERA,
    drained,
    numbers,
    occupancies,
    of_kind,
    report,
    samples,
    sent,
    spool_in,
)
from vision_worker.spool import schema
from vision_worker.spool.model import Kind, SpoolLimits
from vision_worker.spool.spool import RETRY_S, ReportSpool

SESSION = str(uuid.UUID(int=5))


async def test_what_was_added_is_there_for_the_next_process(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        assert await spool.add_sighting(report(1)) is True
        assert await spool.add_telemetry(samples([1, 2, 3])) is True
    async with spool_in(tmp_path) as spool:
        batches = sent(spool)
        assert numbers(batches) == [1]
        assert occupancies(batches) == [1, 2, 3]
    assert (tmp_path / "spool.db").stat().st_mode & 0o777 == 0o600


async def test_what_was_sent_is_sent_again_unchanged_and_then_a_new_session_begins(
    tmp_path: Path,
) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1))
        before = sent(spool)
        await spool.add_sighting(report(1, revision=2))
        before += sent(spool)
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1, revision=3))
        again = sent(spool)
        assert again == before
        assert {batch.name.session_id for batch in again} == {spool.session_id}
        for batch in again:
            spool.acknowledge(batch.name)
        assert spool.session_id != again[0].name.session_id
        await spool.add_telemetry([])
        (then,) = sent(spool)
        assert (then.name.sequence, then.message.sightings.sightings[0].revision) == (1, 3)


async def test_a_lost_acknowledgement_changes_nothing(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1))
        (batch,) = sent(spool)
        spool.acknowledge(batch.name)
        spool.acknowledge(batch.name)
        await spool.add_sighting(report(2))
        spool.rewind()
        assert numbers(sent(spool)) == [2]
        assert spool.status.sightings_acknowledged == 1


async def test_no_more_is_under_way_than_allowed(tmp_path: Path) -> None:
    limits = SpoolLimits(
        sightings_under_way=2, telemetry_under_way=1, batch_sightings=1, batch_samples=2,
        portion_samples=2,
    )  # fmt: skip
    async with spool_in(tmp_path, limits=limits) as spool:
        for number in range(5):
            spool.add_sighting(report(number))
        await spool.add_telemetry(samples(range(6)))
        batches = sent(spool)
        assert numbers(batches) == [0, 1]
        assert occupancies(batches) == [0, 1]
        assert [batch.name.kind for batch in batches] == [
            Kind.SIGHTINGS, Kind.SIGHTINGS, Kind.TELEMETRY,
        ]  # fmt: skip
        for batch in batches:
            spool.acknowledge(batch.name)
        left = await drained(spool)
        assert numbers(left) == [2, 3, 4]
        assert occupancies(left) == [2, 3, 4, 5]


async def test_a_renewed_session_has_the_same_batches_under_new_names(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        for number in range(3):
            await spool.add_sighting(report(number))
        first, *rest = sent(spool)
        spool.acknowledge(first.name)
        spool.renew_session()
        assert spool.next_batch() is None, "the new name is not durable yet"
        await spool.add_sighting(report(9))
        again = sent(spool)
        assert numbers(again) == [1, 2, 9]
        assert [batch.name.sequence for batch in again] == [1, 2, 3]
        assert {batch.name.session_id for batch in again}.isdisjoint({rest[0].name.session_id})
    async with spool_in(tmp_path) as spool:
        assert sent(spool) == again


async def test_a_full_disk_leaves_the_worker_in_memory_until_there_is_room(tmp_path: Path) -> None:
    clock, troubled = VirtualClock(), []
    async with spool_in(tmp_path, clock=clock) as spool:
        spool.listen(wake=lambda: None, troubled=lambda: troubled.append(spool.status.trouble))
        await spool.add_sighting(report(1))
        (of_file,) = sent(spool)
        set_room(spool, pages=1)
        assert await spool.add_sighting(report(2, crop=bytes(200_000))) is False
        assert await spool.add_telemetry(samples([1])) is False
        assert (spool.status.trouble, spool.status.refusals) == ("full", 1)
        spool.acknowledge(of_file.name)
        await spool.add_telemetry([])
        batches = sent(spool)
        assert numbers(batches) == [2]
        assert of_file.name.session_id != batches[0].name.session_id
        await spool.add_sighting(report(3))
        set_room(spool, pages=100_000)
        await clock.advance(RETRY_S)
        assert await spool.add_sighting(report(4)) is True
        assert spool.status.trouble == ""
        # those of the session in memory come first, and nothing waits for them meanwhile
        for batch in batches:
            spool.acknowledge(batch.name)
        left = await drained(spool)
        assert sorted(numbers(left)) == [3, 4]
        assert troubled == ["full", ""]
    async with spool_in(tmp_path) as spool:
        assert spool.is_empty, "it was told what was acknowledged meanwhile"


async def test_a_disk_that_is_read_only_is_told(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        assert spool._file is not None
        spool._file._connection.execute("PRAGMA query_only = ON")
        assert await spool.add_sighting(report(1)) is False
        assert spool.status.trouble == "read_only"
        assert numbers(sent(spool)) == [1]


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with spool_in(tmp_path / "absent") as spool:
        assert await spool.add_sighting(report(1)) is False
        assert spool.status.trouble == "failed"
        assert numbers(sent(spool)) == [1]


async def test_what_is_kept_in_memory_is_bounded(tmp_path: Path) -> None:
    limits = SpoolLimits(memory_bytes=256 * 1024, sightings_under_way=0)
    async with spool_in(tmp_path / "absent", limits=limits) as spool:
        for number in range(50):
            await spool.add_sighting(report(number, crop=bytes(20_000)))
        status = spool.status
        assert status.bytes <= 400 * 1024
        assert status.sightings_dropped + status.sightings_pending == 50
        assert status.sightings_dropped > 30


async def test_a_second_worker_waits_for_the_first(tmp_path: Path) -> None:
    clock = VirtualClock()
    first = spool_in(tmp_path)
    await first.open()
    await first.add_sighting(report(1))
    async with spool_in(tmp_path, clock=clock) as second:
        assert second.status.trouble == "in_use"
        assert await second.add_sighting(report(2)) is False
        await first.close()
        await clock.advance(RETRY_S)
        assert await second.add_sighting(report(3)) is True
        assert second.status.trouble == ""
        assert sorted(numbers(await drained(second))) == [1, 2, 3]


async def test_a_damaged_file_is_set_aside_once(tmp_path: Path) -> None:
    for kept in (b"no database" * 1000, b"nor is this" * 2000):
        (tmp_path / "spool.db").write_bytes(kept)
        async with spool_in(tmp_path) as spool:
            assert spool.status.set_aside == 1
            assert await spool.add_sighting(report(1)) is True
        assert (tmp_path / "spool.aside").read_bytes() == kept


async def test_a_file_that_breaks_while_it_is_used_is_replaced(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        for number in range(300):
            spool.add_sighting(report(number, crop=bytes(3000)))
        await spool.add_telemetry([])
        assert spool._file is not None
        spool._file.tidy()
        with (tmp_path / "spool.db").open("r+b") as file:
            for page in range(1, 200):
                file.seek(page * 4096)
                file.write(os.urandom(4096))
        spool._file._connection.execute("PRAGMA shrink_memory")
        for number in range(1000, 1200):
            assert await spool.add_sighting(report(number)) is True
        assert spool.status.set_aside == 1
        assert set(range(1000, 1200)) <= set(numbers(await drained(spool)))


async def test_a_file_of_the_format_before_is_taken_over(tmp_path: Path) -> None:
    batch = gateway_pb2.TelemetryBatch(samples=samples([4, 5]))
    write_format_1(
        tmp_path,
        camera_id=CAMERA,
        session_id=SESSION,
        sightings=[report(number) for number in (1, 2, 3)],
        telemetry=batch,
        added_at=VirtualClock().now(),
    )
    async with spool_in(tmp_path) as spool:
        under_way = sent(spool)
        assert [(b.name.session_id, b.name.sequence) for b in under_way] == [(SESSION, 1)] * 2
        assert (numbers(under_way), occupancies(under_way)) == ([1], [4, 5])
        await spool.add_sighting(report(9))
    async with spool_in(tmp_path) as spool:
        everything = await drained(spool)
        assert (numbers(everything), occupancies(everything)) == ([1, 2, 3, 9], [4, 5])
        assert (spool.status.set_aside, spool.status.damaged) == (0, 0)


async def test_a_row_that_changed_on_disk_is_not_sent(tmp_path: Path) -> None:
    async with spool_in(tmp_path, limits=SpoolLimits(sightings_under_way=0)) as spool:
        for number in range(1, 6):
            await spool.add_sighting(report(number, crop=b"crop%d" % number * 40))
    flip(tmp_path / "spool.db", b"crop3crop3")
    async with spool_in(tmp_path) as spool:
        assert numbers(await drained(spool)) == [1, 2, 4, 5]
        assert spool.status.damaged == 1


async def test_samples_under_way_that_changed_are_given_up_with_their_batch(tmp_path: Path) -> None:
    limits = SpoolLimits(portion_samples=1, batch_samples=2)
    async with spool_in(tmp_path, limits=limits) as spool:
        await spool.add_telemetry(zoned(range(6)))
        assert occupancies(sent(spool)) == [0, 1, 2, 3]
    flip(tmp_path / "spool.db", b"zone 1")
    async with spool_in(tmp_path, limits=limits) as spool:
        assert occupancies(await drained(spool)) == [2, 3, 4, 5]
        assert spool.status.damaged == 2


async def test_what_can_be_read_of_a_damaged_file_is_kept(tmp_path: Path) -> None:
    limits = SpoolLimits(sightings_under_way=0, telemetry_under_way=1, portion_samples=10)
    async with spool_in(tmp_path, limits=limits) as spool:
        for number in range(200):
            spool.add_sighting(report(number, crop=bytes(3000)))
        await spool.add_telemetry(zoned(range(2000)))
        (under_way,) = sent(spool)
    with (tmp_path / "spool.db").open("r+b") as file:
        file.seek(100 * 4096)
        file.write(os.urandom(4096 * 8))
    async with spool_in(tmp_path) as spool:
        assert spool.status.set_aside == 1
        everything = await drained(spool)
    assert set(numbers(everything)) < set(range(200))
    assert len(numbers(everything)) > 180
    assert occupancies(everything) == list(range(2000))
    assert of_kind(everything, Kind.TELEMETRY)[0] == under_way


@pytest.mark.parametrize("stage", ["spool.db", "spool.next"])
async def test_a_change_of_files_that_was_cut_off_is_finished(tmp_path: Path, stage: str) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1))
    (tmp_path / "spool.db").rename(tmp_path / "spool.next")
    (tmp_path / "spool.db-wal").write_bytes(b"of another file")
    if stage == "spool.db":
        (tmp_path / "spool.db").write_bytes(b"no database")
    async with spool_in(tmp_path) as spool:
        assert numbers(await drained(spool)) == [1]
        assert not (tmp_path / "spool.next").exists()


async def test_a_newer_format_is_set_aside(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1))
    with sqlite3.connect(tmp_path / "spool.db") as newer:
        newer.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
    newer.close()
    async with spool_in(tmp_path) as spool:
        assert spool.status.set_aside == 1
        assert spool.is_empty


async def test_the_file_of_another_camera_is_never_sent(tmp_path: Path) -> None:
    async with ReportSpool(tmp_path, camera_id="other", clock=VirtualClock()) as other:
        await other.add_sighting(report(1))
    async with spool_in(tmp_path) as spool:
        assert spool.status.set_aside == 1
        assert sent(spool) == []


async def test_nobody_comes_back_after_a_week(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.add_sighting(report(1))
        await spool.add_telemetry(samples([1]))
        sent(spool)
    later = VirtualClock()
    await later.leap(7 * 86_400)
    async with spool_in(tmp_path, clock=later) as spool:
        assert of_kind(sent(spool), Kind.SIGHTINGS) == []
        assert spool.status.sightings_dropped == 1


async def test_acknowledged_faces_are_not_in_the_folder(tmp_path: Path) -> None:
    clock, canary = VirtualClock(), b"the face of somebody" * 500
    async with spool_in(tmp_path, clock=clock) as spool:
        await spool.add_sighting(report(1, crop=canary))
        assert holds(tmp_path, b"the face of somebody")
        await drained(spool)
        await spool.add_telemetry([])
        await clock.advance(6 * RETRY_S)
        await spool.add_telemetry(samples([1]))
        assert not holds(tmp_path, b"the face of somebody")


def zoned(occupancies: Iterable[int]) -> list[telemetry_pb2.TelemetrySample]:
    return [telemetry_pb2.TelemetrySample(occupancy=one, zone=f"zone {one}") for one in occupancies]


def flip(path: Path, content: bytes) -> None:
    """Flip a bit of some content of a file."""
    data = bytearray(path.read_bytes())
    assert content in data
    data[data.index(content)] ^= 4
    path.write_bytes(data)


def holds(folder: Path, content: bytes) -> bool:
    return any(content in path.read_bytes() for path in folder.iterdir())


def set_room(spool: ReportSpool, *, pages: int) -> None:
    """Let the file grow to so many pages; SQLite never takes away what it has."""
    assert spool._file is not None
    spool._file._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
