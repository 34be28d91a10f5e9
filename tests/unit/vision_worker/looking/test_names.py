"""Names are asked for once, kept for a minute, and only while somebody looks."""

import asyncio
from collections.abc import Collection, Mapping

from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.vision_worker.looking.scenes import frame
from vision_worker.looking.names import LASTS_S, Names, NamesUnavailable
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import Form, Scene, ShownFace


class People:
    def __init__(self) -> None:
        self.called = {"a": "Ada", "g": "Grace"}
        self.asked: list[set[str]] = []
        self.away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, person_ids: Collection[str]) -> Mapping[str, str]:
        self.asked.append(set(person_ids))
        await self.may_answer.wait()
        if self.away:
            raise NamesUnavailable
        return {one: self.called[one] for one in person_ids if one in self.called}


async def test_a_name_is_asked_for_once_and_is_there_with_a_later_picture() -> None:
    people = People()
    names = Names(people, VirtualClock())
    assert names.of({"a"}) == {}
    await settle()
    assert names.of({"a"}) == {"a": "Ada"}
    assert people.asked == [{"a"}]
    names.of({"a", "g"})
    await settle()
    assert names.of({"a", "g"}) == {"a": "Ada", "g": "Grace"}
    assert people.asked == [{"a"}, {"g"}]


async def test_pictures_do_not_wait_and_nothing_is_asked_twice_at_a_time() -> None:
    people = People()
    people.may_answer.clear()
    names = Names(people, VirtualClock())
    for _ in range(5):
        assert names.of({"a"}) == {}
        await settle()
    assert len(people.asked) == 1
    names.forget()


async def test_who_is_renamed_or_erased_is_not_shown_by_the_old_name_for_long() -> None:
    people, clock = People(), VirtualClock()
    names = Names(people, clock)
    names.of({"a", "g"})
    await settle()
    people.called = {"a": "Ada Lovelace"}
    await clock.advance(LASTS_S - 1)
    assert names.of({"a", "g"}) == {"a": "Ada", "g": "Grace"}
    await clock.advance(2)
    names.of({"a", "g"})
    await settle()
    assert names.of({"a", "g"}) == {"a": "Ada Lovelace", "g": ""}


async def test_a_control_plane_that_is_away_takes_no_name_away_and_is_asked_now_and_then() -> None:
    people, clock = People(), VirtualClock()
    names = Names(people, clock)
    names.of({"a"})
    await settle()
    people.away = True
    await clock.advance(LASTS_S)
    for _ in range(20):
        assert names.of({"a"}) == {"a": "Ada"}
        await clock.advance(1)
    assert 4 <= len(people.asked) <= 6
    people.away = False
    await clock.advance(5)
    names.of({"a"})
    await settle()
    assert names.of({"a"}) == {"a": "Ada"}


async def test_no_more_names_are_kept_than_fit_in_a_crowd() -> None:
    names = Names(People(), VirtualClock())
    for number in range(40):
        names.of({f"{number}-{one}" for one in range(64)})
        await settle()
    assert len(names._known) == 256


async def test_faces_get_their_names_and_none_is_kept_when_everybody_left() -> None:
    drawn: list[Scene] = []
    thread = PictureThread()
    onlookers = Onlookers(thread=thread, clock=VirtualClock())
    onlookers.names = Names(People(), VirtualClock())

    def show() -> None:
        faces = (
            ShownFace(box=(0, 0, 1, 1), quality=1, decision="review", person_id="a"),
            ShownFace(box=(0, 0, 1, 1), quality=1, decision="unknown"),
        )
        onlookers.show(frame(), faces)
        assert onlookers._newest is not None
        drawn.append(onlookers._newest)

    stream = onlookers.watch(Form(longest_side=320, annotated=True), 0)
    coming = asyncio.ensure_future(anext(stream))
    await settle()
    show()
    await coming
    show()
    assert [[face.name for face in scene.faces] for scene in drawn] == [["", ""], ["Ada", ""]]
    await stream.aclose()
    assert onlookers.names._known == {}
    thread.close()
