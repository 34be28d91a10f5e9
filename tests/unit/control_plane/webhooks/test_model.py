"""Which events a webhook is told of, and what a body says."""

import json
from datetime import UTC, datetime

import pytest

from control_plane.webhooks.cloud_event import event_body, make_test_body
from control_plane.webhooks.model import Wish, clean_name, clean_types
from service_runtime.errors import InvalidArgument

AT = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)


def wish(*types: str, cameras: tuple[str, ...] = ()) -> Wish:
    return Wish(
        webhook_id="w",
        event_types=frozenset(types),
        camera_ids=frozenset(cameras),
        after_sequence=10,
    )


@pytest.mark.parametrize(
    ("types", "event_type", "is_wanted"),
    [
        (("alert.raised",), "alert.raised", True),
        (("alert.raised",), "alert.acknowledged", False),
        (("camera.*",), "camera.deleted", True),
        (("camera.*",), "cameras.deleted", False),
        (("camera.*", "face.added"), "face.added", True),
        (("*",), "worker.error", True),
        (("*",), "internal.epoch_issued", False),
    ],
)
def test_patterns(types: tuple[str, ...], event_type: str, is_wanted: bool) -> None:
    assert wish(*types).wants(event_type, None, 11) is is_wanted


def test_cameras_and_the_beginning() -> None:
    assert wish("*", cameras=("a", "b")).wants("camera.updated", "a", 11)
    assert not wish("*", cameras=("a",)).wants("camera.updated", "c", 11)
    assert not wish("*", cameras=("a",)).wants("person.created", None, 11)
    assert not wish("*").wants("camera.updated", "a", 10)


def test_names_and_types() -> None:
    assert clean_name("  pager ") == "pager"
    assert clean_types([]) == ("alert.raised",)
    for name in (" ", "a\nb"):
        with pytest.raises(InvalidArgument):
            clean_name(name)
    everything = ["*", "camera.*", "alert.raised", "sighting.updated"]
    assert clean_types(everything) == tuple(everything)
    for kind in (
        "internal.*", "internal.retry_requested", "webhook.test", "webhook.*",
        "camera.exploded", "cameras.*", "*.created",
    ):  # fmt: skip
        with pytest.raises(InvalidArgument, match=r"camera\.created, .*worker\.stopped") as refusal:
            clean_types(["camera.*", kind])
        assert kind in refusal.value.sentence
        assert [violation.field for violation in refusal.value.violations] == ["event_types[1]"]


def test_a_body_is_a_cloud_event() -> None:
    body = event_body(
        feed_id="f",
        sequence=42,
        event_type="alert.raised",
        subject="cameras/c",
        at=AT,
        data={"type": "alert.raised", "person": "Zoë"},
    )
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": "42",
        "source": "urn:uuid:f",
        "type": "dfip.alert.raised",
        "subject": "cameras/c",
        "time": "2026-01-01T12:30:00.250000Z",
        "sequence": "00000000000000000042",
        "datacontenttype": "application/json",
        "data": {"type": "alert.raised", "person": "Zoë"},
    }


def test_a_body_without_a_subject_and_a_test() -> None:
    plain = event_body(feed_id="f", sequence=1, event_type="x.y", subject="", at=AT, data={})
    assert "subject" not in json.loads(plain)
    test = json.loads(make_test_body(feed_id="f", delivery_id="d", webhook_id="w", at=AT))
    assert (test["type"], test["id"], test["subject"]) == (
        "dfip.webhook.test",
        "d",
        "webhooks/w",
    )
