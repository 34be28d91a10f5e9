"""The feed against a scripted control plane: whatever breaks, the gallery ends up right."""

import asyncio

import pytest

from dfip.control_plane.v1 import person_service_pb2
from identity_index.faiss_gallery import GalleryFace
from service_runtime.clock import Clock
from service_runtime.errors import OutOfRange, ResourceExhausted, Unavailable
from tests.integration.identity_index.conftest import SPACE, ControlPlane, Index
from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.identity_index.vectors import faces_of, unit_vectors

FACES = faces_of(unit_vectors(60, 128), per_person=2)
EXPIRED = OutOfRange("RESUME_TOKEN_EXPIRED", "The token has expired; start over.")


async def found_faces(index: Index, faces: list[GalleryFace] = FACES) -> set[str]:
    """Return which of the faces are found by their own embedding, whoever they belong to."""
    found = set()
    for face in faces:
        answer = await index.search_loop.search(face.embedding[None], 1)
        found |= {
            match.face_id for match in answer.matches[0] if match.score > 1 - 1e-4
        }  # random unit vectors of 128 values are nowhere near each other
    return found


async def reach(index: Index, revision: int) -> None:
    await index.search_loop.wait_for(revision, patience_s=20)


def ids(faces: list[GalleryFace]) -> set[str]:
    return {face.face_id for face in faces}


async def test_a_snapshot_in_parts_is_served_when_it_is_complete(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    assert (call.request.resume_token, call.request.pack_id) == ("", "builtin")
    call.tell(SPACE, added=FACES[:20], revision=7, complete=False)
    call.tell(SPACE, added=FACES[20:40], revision=7, complete=False)
    assert index.search_loop.state is None
    call.tell(SPACE, added=FACES[40:], revision=7)
    await reach(index, 7)
    assert await found_faces(index) == ids(FACES)


async def test_an_empty_gallery_is_a_snapshot_too(
    control_plane: ControlPlane, index: Index
) -> None:
    (await control_plane.faces.next_call()).tell(SPACE, revision=1)
    await reach(index, 1)
    assert (await index.search_loop.search(FACES[0].embedding[None], 5)).matches == [[]]


async def test_changes_follow_the_snapshot(control_plane: ControlPlane, index: Index) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:10], revision=10)
    call.tell(SPACE, added=FACES[10:12], revision=12)
    call.tell(SPACE, removed=["f0", "f3", "never-there"], revision=15)
    call.tell(SPACE, added=FACES[12:13], removed=["f1"], revision=17)
    await reach(index, 17)
    assert await found_faces(index) == ids(FACES[:13]) - {"f0", "f1", "f3"}


async def test_the_same_news_twice_changes_nothing(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=[*FACES[:5], *FACES[:5]], revision=5)
    for _ in range(2):
        call.tell(SPACE, added=FACES[5:7], removed=["f0"], revision=8)
    call.tell(SPACE, revision=9)
    await reach(index, 9)
    assert await found_faces(index) == ids(FACES[1:7])
    assert index.search_loop.state is not None
    assert (index.search_loop.state.faces, index.search_loop.state.persons) == (6, 4)


@pytest.mark.parametrize("broken_by", ["end", "unavailable", "slow"])
async def test_a_broken_stream_goes_on_where_it_was(
    control_plane: ControlPlane, index: Index, broken_by: str
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:10], revision=10)
    call.tell(SPACE, removed=["f4"], revision=11)
    match broken_by:
        case "end":
            call.end()
        case "unavailable":
            call.break_with(Unavailable("AWAY", "The control plane is stopping."))
        case _:
            call.break_with(ResourceExhausted("TOO_SLOW", "The watcher reads too slowly."))
    again = await control_plane.faces.next_call()
    assert again.request.resume_token == "after-11"
    assert await found_faces(index) == ids(FACES[:10]) - {"f4"}
    again.tell(SPACE, added=FACES[10:11], revision=12)
    await reach(index, 12)
    assert await found_faces(index) == ids(FACES[:11]) - {"f4"}


async def test_a_stream_that_breaks_within_the_snapshot_starts_over(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:20], revision=7, complete=False)
    call.break_with(Unavailable("AWAY", "The control plane is stopping."))
    again = await control_plane.faces.next_call()
    assert again.request.resume_token == ""
    again.tell(SPACE, added=FACES[10:30], revision=9)
    await reach(index, 9)
    assert await found_faces(index) == ids(FACES[10:30])


async def test_an_expired_token_starts_over_while_the_old_gallery_answers(
    control_plane: ControlPlane, index: Index
) -> None:
    """Deleted faces are found 0 times, enrolled ones missed 0 times, after the swap."""
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:30], revision=30)
    await reach(index, 30)
    call.break_with(EXPIRED)
    again = await control_plane.faces.next_call()
    assert again.request.resume_token == ""
    again.tell(SPACE, added=FACES[10:30], revision=50, complete=False)
    again.tell(SPACE, added=FACES[30:50], revision=50, complete=False)
    assert await found_faces(index) == ids(FACES[:30])
    assert index.search_loop.state is not None
    assert index.search_loop.state.revision == 30
    again.tell(SPACE, added=FACES[50:55], revision=50)
    await reach(index, 50)
    assert await found_faces(index) == ids(FACES[10:55])
    again.tell(SPACE, removed=["f12"], revision=51)
    await reach(index, 51)
    assert "f12" not in await found_faces(index)


async def test_a_face_deleted_during_a_rebuild_is_gone_at_once_and_stays_gone(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:30], revision=30)
    await reach(index, 30)
    call.break_with(EXPIRED)
    again = await control_plane.faces.next_call()
    again.tell(SPACE, added=FACES[:10], removed=["f5", "f25"], revision=40, complete=False)
    # whatever still comes of the snapshot was read before the removal
    again.tell(SPACE, added=FACES[20:30], revision=40, complete=False)
    async with asyncio.timeout(20):  # nothing else tells that a part of a snapshot has been taken
        while (found := await found_faces(index)) & {"f5", "f25"}:
            await settle()
    assert found == ids(FACES[:30]) - {"f5", "f25"}
    assert index.search_loop.state is not None
    assert index.search_loop.state.revision == 30
    again.tell(SPACE, added=FACES[10:20], revision=40)
    await reach(index, 40)
    assert await found_faces(index) == ids(FACES[:30]) - {"f5", "f25"}


@pytest.mark.parametrize("complete", [True, False])
async def test_a_change_too_large_for_one_message_is_taken_in_parts(
    control_plane: ControlPlane, index: Index, complete: bool
) -> None:
    call = await control_plane.faces.next_call()
    call.tell(SPACE, added=FACES[:10], revision=10)
    await reach(index, 10)
    parts = person_service_pb2.WatchFacesResponse(
        added=[
            person_service_pb2.EnrolledFace(
                face_id=face.face_id,
                person_id=face.person_id,
                embedding=SPACE.write(face.embedding[None]),
            )
            for face in FACES[10:20]
        ],
        snapshot_complete=complete,  # parts have neither revision nor token, whatever they say here
    )
    call.tell_message(parts)
    call.break_with(Unavailable("AWAY", "The control plane is stopping."))
    again = await control_plane.faces.next_call()
    assert again.request.resume_token == "after-10"
    assert index.search_loop.state is not None
    assert index.search_loop.state.revision == 10
    again.tell_message(parts)
    again.tell(SPACE, added=FACES[20:25], removed=["f0"], revision=20)
    await reach(index, 20)
    assert await found_faces(index) == ids(FACES[1:25])
    assert index.search_loop.state.faces == 24


async def test_one_unreadable_face_keeps_nobody_else_from_being_found(
    control_plane: ControlPlane, index: Index
) -> None:
    call = await control_plane.faces.next_call()
    message = person_service_pb2.WatchFacesResponse(
        added=[
            person_service_pb2.EnrolledFace(
                face_id=face.face_id,
                person_id=face.person_id,
                embedding=SPACE.write(face.embedding[None]),
            )
            for face in FACES[:5]
        ],
        revision=5,
        snapshot_complete=True,
        resume_token="t",
    )
    message.added[1].embedding.vectors = b"\xff" * 512  # NaN
    message.added[2].embedding.pack_id = "other"
    message.added[3].embedding.dimension = 64
    message.added[4].embedding.vectors *= 2
    call.tell_message(message)
    await reach(index, 5)
    assert await found_faces(index) == {"f0"}
    assert index.feed.unreadable_faces == 4
    call.tell(SPACE, removed=["f2"], revision=6)
    await reach(index, 6)
    assert index.feed.unreadable_faces == 3


class TestAway:
    """The waits between attempts, on a clock that the test turns."""

    @pytest.fixture
    def feed_clock(self) -> Clock:
        return VirtualClock()

    async def test_it_waits_before_it_calls_again(
        self, control_plane: ControlPlane, index: Index, feed_clock: VirtualClock
    ) -> None:
        call = await control_plane.faces.next_call()
        call.tell(SPACE, revision=1)
        call.end()
        async with asyncio.timeout(20):
            while not feed_clock.sleepers:
                await settle()
        again = asyncio.create_task(control_plane.faces.next_call())
        await feed_clock.advance(0)
        assert not again.done()
        await feed_clock.advance(0.01)
        assert (await again).request.resume_token == "after-1"
        assert index.search_loop.state is not None
