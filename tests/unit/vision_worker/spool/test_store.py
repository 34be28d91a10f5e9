"""What waits, what is under way, what is safe: against a control plane that may forget answers."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vision_worker.spool.reports import CAMERA, numbers, report
from vision_worker.spool.model import (
    DEFAULT_LIMITS,
    Batch,
    Change,
    Kind,
    Portion,
    Sighting,
    SpoolLimits,
)
from vision_worker.spool.store import Store, open_store


def store_of(limits: SpoolLimits = DEFAULT_LIMITS) -> Store:
    return open_store(None, camera_id=CAMERA, limits=limits)


def sighting(number: int, revision: int = 1, crop: bytes = b"") -> Sighting:
    made = report(number, revision, crop)
    return Sighting(id=made.id, revision=revision, data=made.SerializeToString())


def add(store: Store, *sightings: Sighting, cut: int = 0) -> Sequence[Batch]:
    change = Change(now_s=0, sightings=sightings, cut={Kind.SIGHTINGS: cut})
    return store.commit(change).batches


def test_a_newer_revision_takes_the_place_of_the_one_that_waits() -> None:
    store = store_of()
    add(store, sighting(1), sighting(2))
    (batch,) = add(store, sighting(1, revision=3), sighting(1, revision=2), cut=1)
    assert numbers([batch]) == [1, 2]
    assert batch.message.sightings.sightings[0].revision == 3


def test_what_is_under_way_does_not_change() -> None:
    store = store_of()
    (first,) = add(store, sighting(1), cut=1)
    (second,) = add(store, sighting(1, revision=2), cut=1)
    assert store.under_way() == [first, second]
    assert second.name == replace(first.name, sequence=2)


def test_batches_stay_below_their_bounds() -> None:
    store = store_of(SpoolLimits(batch_sightings=3, batch_bytes=250))
    large = [sighting(number, crop=b"x" * 100) for number in range(3)]
    small = [sighting(number) for number in range(3, 8)]
    assert [batch.records for batch in add(store, *large, *small, cut=9)] == [1, 1, 3, 3]


def test_the_oldest_samples_go_first_and_sightings_last() -> None:
    store = store_of(SpoolLimits(memory_bytes=128 * 1024))
    portions = [Portion(samples=10, data=bytes(1000)) for _ in range(60)]
    store.commit(Change(now_s=0, portions=portions))
    outcome = store.commit(
        Change(now_s=0, sightings=[sighting(n, crop=bytes(9000)) for n in range(5)])
    )
    assert outcome.dropped_samples > 0
    assert outcome.dropped_sightings == 0
    assert outcome.holding.samples == 600 - outcome.dropped_samples > 0
    outcome = store.commit(
        Change(now_s=0, sightings=[sighting(n, crop=bytes(9000)) for n in range(5, 20)])
    )
    assert outcome.holding.samples == 0
    assert outcome.dropped_sightings > 0
    assert outcome.holding.sightings == 20 - outcome.dropped_sightings
    left, _ = store.waiting()
    assert left[-1].id == str(uuid.UUID(int=19))


def test_what_is_under_way_is_not_dropped() -> None:
    store = store_of(SpoolLimits(memory_bytes=64 * 1024, batch_sightings=1))
    (batch,) = add(store, sighting(1, crop=bytes(9000)), cut=1)
    add(store, *(sighting(n, crop=bytes(9000)) for n in range(2, 20)))
    assert store.under_way() == [batch]


def test_what_waited_for_too_long_goes() -> None:
    store = store_of()
    store.commit(
        Change(now_s=100, sightings=[sighting(1)], portions=[Portion(samples=2, data=b"")])
    )
    store.commit(
        Change(now_s=200, sightings=[sighting(2)], portions=[Portion(samples=3, data=b"")])
    )
    outcome = store.drop_older(150)
    assert (outcome.dropped_sightings, outcome.dropped_samples) == (1, 2)
    assert (outcome.holding.sightings, outcome.holding.samples) == (1, 3)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 5)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("lose_answer"), st.just(0)),
            st.tuples(st.just("send_again"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_everything_arrives_once_in_its_last_version(steps: list[tuple[str, int]]) -> None:
    store = store_of(SpoolLimits(batch_sightings=2))
    newest: dict[str, int] = {}
    stored: dict[str, int] = {}
    last_sequence = 0

    def deliver(batch: Batch, *, answer: bool) -> None:
        nonlocal last_sequence
        if batch.name.sequence > last_sequence:
            assert batch.name.sequence == last_sequence + 1
            last_sequence = batch.name.sequence
            for one in batch.message.sightings.sightings:
                stored[one.id] = max(one.revision, stored.get(one.id, 0))
        if answer:
            store.commit(Change(now_s=0, acknowledged=[batch.name]))

    for step, number in steps:
        if step == "add":
            identifier = str(uuid.UUID(int=number))
            newest[identifier] = newest.get(identifier, 0) + 1
            add(store, sighting(number, revision=newest[identifier]))
        elif step == "send_again":
            for batch in store.under_way():
                deliver(batch, answer=False)
        else:
            for batch in add(store, cut=1):
                deliver(batch, answer=step == "send")
    while batches := [*store.under_way(), *add(store, cut=1)]:
        for batch in batches:
            deliver(batch, answer=True)
    assert stored == newest
    assert store.holding().sightings == 0
