"""What waits, what is under way, what is safe: against a control plane that may forget answers."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from dfip.control_plane.v1 import worker_gateway_service_pb2 as gateway_pb2
from vision_worker.report_spool import ReportSpool, SpoolLimits


def report(number: int, revision: int = 1, crop: bytes = b"") -> gateway_pb2.SightingReport:
    return gateway_pb2.SightingReport(
        id=str(uuid.UUID(int=number)), revision=revision, crop=crop, decision="unknown"
    )


def test_a_newer_version_replaces_the_one_that_waits() -> None:
    spool = ReportSpool()
    spool.add(report(1, revision=1))
    spool.add(report(1, revision=2))
    batch = spool.next_batch()
    assert batch is not None
    assert [one.revision for one in batch.sightings] == [2]


def test_a_batch_that_was_sent_keeps_its_number_and_content() -> None:
    spool = ReportSpool()
    spool.add(report(1, revision=1))
    first = spool.next_batch()
    spool.add(report(1, revision=2))
    spool.rewind()
    again, then = spool.next_batch(), spool.next_batch()
    assert again == first
    assert then is not None
    assert (then.sequence, then.sightings[0].revision) == (2, 2)


def test_batches_stay_below_their_bounds() -> None:
    spool = ReportSpool(SpoolLimits(batch_sightings=3, batch_bytes=250, in_flight=2))
    for number in range(8):
        spool.add(report(number, crop=b"x" * 100))
    sizes = [len(batch.sightings) for batch in (spool.next_batch(), spool.next_batch()) if batch]
    assert sizes == [1, 1]
    assert spool.next_batch() is None
    spool.acknowledge(1)
    assert spool.next_batch() is not None


def test_the_oldest_is_dropped_and_counted() -> None:
    spool = ReportSpool(SpoolLimits(waiting=2, batch_sightings=10))
    for number in range(5):
        spool.add(report(number))
    batch = spool.next_batch()
    assert batch is not None
    assert [one.id for one in batch.sightings] == [str(uuid.UUID(int=n)) for n in (3, 4)]
    assert spool.dropped == 3


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 5)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("lose_answer"), st.just(0)),
            st.tuples(st.just("reconnect"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_everything_arrives_once_in_its_last_version(steps: list[tuple[str, int]]) -> None:
    spool = ReportSpool(SpoolLimits(waiting=100, in_flight=3, batch_sightings=2))
    newest: dict[str, int] = {}
    stored: dict[str, int] = {}
    last_sequence = 0

    def deliver(*, answer: bool) -> bool:
        nonlocal last_sequence
        batch = spool.next_batch()
        if batch is None:
            return False
        if batch.sequence > last_sequence:
            assert batch.sequence == last_sequence + 1
            last_sequence = batch.sequence
            for one in batch.sightings:
                stored[one.id] = max(one.revision, stored.get(one.id, 0))
        if answer:
            spool.acknowledge(batch.sequence)
        return True

    for step, number in steps:
        if step == "add":
            identifier = str(uuid.UUID(int=number))
            newest[identifier] = newest.get(identifier, 0) + 1
            spool.add(report(number, revision=newest[identifier]))
        elif step == "send":
            deliver(answer=True)
        elif step == "lose_answer":
            deliver(answer=False)
        else:
            spool.rewind()
    spool.rewind()
    while deliver(answer=True):
        pass
    assert stored == newest
    assert spool.pending == 0
    assert spool.dropped == 0
