"""The loop: consistent revisions, joined searches, bounded waiting."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from identity_index.faiss_gallery import FlatGallery
from identity_index.search_loop import Change, SearchLoop
from service_runtime.errors import DeadlineExceeded, ResourceExhausted, ServiceError, Unavailable
from tests.support.virtual_clock import VirtualClock
from tests.unit.identity_index.vectors import faces_of, unit_vectors

DIMENSION = 16
VECTORS = unit_vectors(40, DIMENSION)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def loop(clock: VirtualClock) -> AsyncIterator[SearchLoop]:
    searching = SearchLoop(dimension=DIMENSION, threads=1, clock=clock)
    task = asyncio.create_task(searching.run())
    yield searching
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    searching.close()


async def _publish(loop: SearchLoop, revision: int, count: int = 40) -> FlatGallery:
    gallery = loop.new_gallery()
    await loop.publish(gallery, Change(put=faces_of(VECTORS[:count])), revision)
    return gallery


async def test_nothing_is_found_before_the_first_gallery_is_whole(loop: SearchLoop) -> None:
    with pytest.raises(Unavailable) as refused:
        await loop.search(VECTORS[:1], 5)
    assert refused.value.reason == "INDEX_NOT_READY"
    assert not loop.ready.is_set()
    assert loop.state is None


async def test_an_answer_carries_the_revision_of_its_gallery(loop: SearchLoop) -> None:
    await _publish(loop, 7)
    answer = await loop.search(VECTORS[3:4], 1)
    assert (answer.revision, answer.matches[0][0].face_id) == (7, "f3")
    assert loop.ready.is_set()


async def test_joined_searches_get_their_own_answers(loop: SearchLoop) -> None:
    await _publish(loop, 1)
    sizes = [1, 30, 3, 12, 7, 40, 20]
    asked = [VECTORS[:size][::-1] for size in sizes]
    answers = await asyncio.gather(
        *(loop.search(np.ascontiguousarray(probes), k) for k, probes in enumerate(asked, 1))
    )
    for k, (size, answer) in enumerate(zip(sizes, answers, strict=True), 1):
        assert [matches[0].face_id for matches in answer.matches] == [
            f"f{at}" for at in reversed(range(size))
        ]
        assert {len(matches) for matches in answer.matches} == {k}


async def test_every_search_during_changes_sees_one_whole_revision(loop: SearchLoop) -> None:
    """Revision r holds exactly the faces 0..r-1: an answer that mixes two cannot satisfy that."""
    gallery = await _publish(loop, 1, 1)
    seen: set[int] = set()

    async def keep_searching() -> None:
        while loop.state is not None and loop.state.revision < 40:
            answer = await loop.search(VECTORS, 100)
            seen.add(answer.revision)
            expected = {f"f{at}" for at in range(answer.revision)}
            for matches in answer.matches:
                assert {match.face_id for match in matches} == expected

    searches = [asyncio.create_task(keep_searching()) for _ in range(4)]
    for revision in range(2, 41):
        await loop.publish(
            gallery, Change(put=faces_of(VECTORS[:revision])[revision - 1 :]), revision
        )
    await asyncio.gather(*searches)
    assert len(seen) > 1


async def test_a_new_gallery_takes_over_whole(loop: SearchLoop) -> None:
    await _publish(loop, 5)
    building = loop.new_gallery()
    await loop.change(building, Change(put=faces_of(VECTORS[:3], prefix="new")))
    assert (await loop.search(VECTORS[:1], 1)).matches[0][0].face_id == "f0"
    await loop.publish(building, Change(discard=["new1"]), 9)
    answer = await loop.search(VECTORS[:3], 40)
    assert answer.revision == 9
    assert {m.face_id for matches in answer.matches for m in matches} == {"new0", "new2"}
    assert loop.state is not None
    assert (loop.state.faces, loop.state.persons) == (2, 2)
    assert loop.state.memory_bytes == 2 * DIMENSION * 4


async def test_within_one_change_a_removal_has_the_last_word(loop: SearchLoop) -> None:
    gallery = loop.new_gallery()
    await loop.publish(gallery, Change(put=faces_of(VECTORS[:2]), discard=["f0"]), 1)
    assert gallery.faces == 1


async def test_waiting_ends_with_the_revision(loop: SearchLoop) -> None:
    gallery = await _publish(loop, 5)
    waiting = asyncio.create_task(loop.wait_for(7, patience_s=2))
    await loop.publish(gallery, Change(), 6)
    assert not waiting.done()
    await loop.publish(gallery, Change(), 8)
    await waiting


async def test_waiting_ends_with_the_patience(loop: SearchLoop, clock: VirtualClock) -> None:
    await _publish(loop, 5)
    waiting = asyncio.create_task(loop.wait_for(6, patience_s=2))
    await clock.advance(1.9)
    assert not waiting.done()
    await clock.advance(0.2)
    with pytest.raises(DeadlineExceeded) as refused:
        await waiting
    assert refused.value.reason == "INDEX_BEHIND"
    assert refused.value.metadata == {"revision": "5", "min_revision": "6"}
    assert clock.sleepers == 0


async def test_waiting_for_a_first_gallery(loop: SearchLoop, clock: VirtualClock) -> None:
    waiting = asyncio.create_task(loop.wait_for(0, patience_s=2))
    await clock.advance(2)
    with pytest.raises(Unavailable) as refused:
        await waiting
    assert refused.value.reason == "INDEX_NOT_READY"


async def test_a_restored_database_may_have_lower_revisions(loop: SearchLoop) -> None:
    await _publish(loop, 100)
    await _publish(loop, 3, 2)
    assert (await loop.search(VECTORS[:1], 1)).revision == 3
    assert loop.state is not None
    assert loop.state.faces == 2


async def test_too_much_waiting_is_refused_and_heals() -> None:
    searching = SearchLoop(dimension=DIMENSION, threads=1, clock=VirtualClock())
    try:
        await _publish(searching, 1)
        probes = np.repeat(VECTORS[:1], 256, axis=0)
        full = [asyncio.create_task(searching.search(probes, 1)) for _ in range(32)]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted) as refused:
            await searching.search(VECTORS[:1], 1)
        assert refused.value.reason == "SEARCH_BUSY"
        running = asyncio.create_task(searching.run())
        await asyncio.gather(*full)
        assert (await searching.search(VECTORS[:1], 1)).matches[0][0].face_id == "f0"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finally:
        searching.close()


async def test_a_caller_who_leaves_disturbs_nobody(loop: SearchLoop) -> None:
    await _publish(loop, 1)
    leaving = asyncio.create_task(loop.search(VECTORS[:1], 1))
    staying = asyncio.create_task(loop.search(VECTORS[1:2], 1))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).matches[0][0].face_id == "f1"


async def test_a_defect_reaches_its_own_caller_only(loop: SearchLoop) -> None:
    await _publish(loop, 1)
    with pytest.raises(AssertionError):  # FAISS refuses probes of another length
        await loop.search(np.ones((1, 3), np.float32), 1)
    assert (await loop.search(VECTORS[:1], 1)).matches[0][0].face_id == "f0"


async def test_whoever_still_waits_at_the_end_is_told() -> None:
    searching = SearchLoop(dimension=DIMENSION, threads=1, clock=VirtualClock())
    await _publish(searching, 1)
    waiting = asyncio.create_task(searching.search(VECTORS[:1], 1))
    await asyncio.sleep(0)
    searching.close()
    with pytest.raises(ServiceError) as refused:
        await waiting
    assert refused.value.reason == "INDEX_STOPPING"
