"""SIGKILL between a sighting and a webhook's answer; the last test plants bugs that it finds."""

from pathlib import Path

import pytest

from tests.faults.alert_kills import killed_again_and_again
from tests.faults.crashing_alerts import (
    AFTER_POST,
    BEFORE_ALERT,
    BEFORE_POST,
    CURSOR_FIRST,
    DELIVERED_FIRST,
    IN_ALERT,
    IN_FAN_OUT,
    IN_RECORD,
    NEW_ID,
)

NOTHING = {
    "alerts_lost": 0, "alerts_double": 0, "deliveries_double": 0, "never_posted": 0,
    "ids_changed": 0, "alerts_unknown": 0,
}  # fmt: skip


async def test_no_alert_is_lost_and_every_delivery_is_tried(tmp_path: Path) -> None:
    outcome = await killed_again_and_again(tmp_path, seed=1, points=[IN_FAN_OUT, IN_RECORD])
    assert outcome.broken() == NOTHING
    assert outcome.kills == 2
    assert len(outcome.alerts) > outcome.kills


@pytest.mark.usefixtures("on_postgres")
async def test_on_postgres_as_well(tmp_path: Path) -> None:
    outcome = await killed_again_and_again(tmp_path, seed=2, points=[IN_ALERT])
    assert outcome.broken() == NOTHING


async def test_planted_bugs_are_found(tmp_path: Path) -> None:
    bugs = {BEFORE_ALERT: CURSOR_FIRST, BEFORE_POST: DELIVERED_FIRST, AFTER_POST: NEW_ID}
    outcome = await killed_again_and_again(tmp_path, seed=3, points=tuple(bugs), bugs=bugs)
    broken = outcome.broken()
    assert broken["alerts_lost"] > 0
    assert broken["never_posted"] > 0
    assert broken["ids_changed"] > 0
