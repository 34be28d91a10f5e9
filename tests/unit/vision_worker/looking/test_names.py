"""Names are asked for once, kept for a minute, and only while somebody looks."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from tests.support.virtual_clock import VirtualClock, settle
from tests.unit.vision_worker.looking.scenes import frame
from vision_worker.looking.drawing import render
from vision_worker.looking.names import LASTS_S, Names, NamesUnavailable
from vision_worker.looking.onlookers import Onlookers
from vision_worker.looking.picture_thread import PictureThread
from vision_worker.looking.scene import DrawnPicture, Form, Scene, ShownFace


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


async def test_a_name_is_asked_for_once() -> None:
    people = People()
    names = Names(people, VirtualClock())
    for _ in range(3):
        assert await names.of({"a"}) == {"a": "Ada"}
    assert people.asked == [{"a"}]
    assert await names.of({"a", "g"}) == {"a": "Ada", "g": "Grace"}
    assert people.asked == [{"a"}, {"g"}]


async def test_pictures_wait_a_moment_once_and_nothing_is_asked_twice_at_a_time() -> None:
    people, clock = People(), VirtualClock()
    people.may_answer.clear()
    names = Names(people, clock)
    asking = asyncio.ensure_future(names.of({"a"}))
    await clock.advance(0.6)
    assert await asking == {}
    for _ in range(5):
        assert await names.of({"a"}) == {}
    assert len(people.asked) == 1
    people.may_answer.set()
    await settle()
    assert await names.of({"a"}) == {"a": "Ada"}
    people.may_answer.clear()
    asking = asyncio.ensure_future(names.of({"g"}))
    await settle()
    names.forget()
    assert await asking == {}


async def test_who_is_renamed_or_erased_is_not_shown_by_the_old_name_for_long() -> None:
    people, clock = People(), VirtualClock()
    names = Names(people, clock)
    await names.of({"a", "g"})
    people.called = {"a": "Ada Lovelace"}
    await clock.advance(LASTS_S - 1)
    assert await names.of({"a", "g"}) == {"a": "Ada", "g": "Grace"}
    await clock.advance(2)
    await names.of({"a", "g"})  # as long as it is asked, by the old one
    await settle()
    assert await names.of({"a", "g"}) == {"a": "Ada Lovelace", "g": ""}


async def test_a_control_plane_that_is_away_takes_no_name_away_and_is_asked_now_and_then() -> None:
    people, clock = People(), VirtualClock()
    names = Names(people, clock)
    await names.of({"a"})
    await settle()
    people.away = True
    await clock.advance(LASTS_S)
    for _ in range(20):
        assert await names.of({"a"}) == {"a": "Ada"}
        await clock.advance(1)
    assert 4 <= len(people.asked) <= 6
    people.away = False
    await clock.advance(5)
    await names.of({"a"})
    await settle()
    assert await names.of({"a"}) == {"a": "Ada"}


async def test_no_more_names_are_kept_than_fit_in_a_crowd() -> None:
    names = Names(People(), VirtualClock())
    for number in range(40):
        await names.of({f"{number}-{one}" for one in range(64)})
        await settle()
    assert len(names._known) == 256


async def test_faces_get_their_names_and_none_is_kept_when_everybody_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Scene] = []

    def drawing(scene: Scene, form: Form) -> DrawnPicture:
        drawn.append(scene)
        return render(scene, form)

    monkeypatch.setattr("vision_worker.looking.onlookers.render", drawing)
    thread = PictureThread()
    onlookers = Onlookers(thread=thread, clock=VirtualClock())
    onlookers.names = Names(People(), VirtualClock())
    snapshot = asyncio.ensure_future(onlookers.snapshot(Form(longest_side=320, annotated=True)))
    await settle()
    faces = (
        ShownFace(box=(0, 0, 1, 1), quality=1, decision="review", person_id="a"),
        ShownFace(box=(0, 0, 1, 1), quality=1, decision="unknown"),
    )
    onlookers.show(frame(), faces)
    await snapshot
    assert [[face.name for face in scene.faces] for scene in drawn] == [["Ada", ""]]
    assert onlookers.names._known == {}
    thread.close()
