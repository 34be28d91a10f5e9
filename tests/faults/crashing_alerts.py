"""``python -m tests.faults.crashing_alerts POINT NUMBER BUG``: a control plane that is killed.

It is the real one in all but this: when it comes to the given point for the given time on the way
from a sighting to a webhook's answer, it sends itself SIGKILL. ``BUG`` plants a defect that such a
kill must bring to light; ``none`` plants none.
"""

import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

from control_plane.__main__ import main
from control_plane.alerts import judge, store
from control_plane.alerts.judge import AlertJudge
from control_plane.alerts.model import Alert
from control_plane.database import Transaction
from control_plane.webhooks import courier, schedule, signature
from control_plane.webhooks.courier import Claim, Courier
from control_plane.webhooks.fan_out import FanOut
from control_plane.webhooks.schedule import Attempt
from service_runtime.identifiers import new_id
from service_runtime.secret import Secret

BEFORE_ALERT: Final = "before an alert is written"
IN_ALERT: Final = "before an alert is committed"
AFTER_ALERT: Final = "after an alert is committed"
IN_FAN_OUT: Final = "before deliveries are committed"
BEFORE_POST: Final = "before a delivery is posted"
AFTER_POST: Final = "after a delivery is posted"
IN_RECORD: Final = "before an answer is recorded"
POINTS: Final = (
    BEFORE_ALERT, IN_ALERT, AFTER_ALERT, IN_FAN_OUT, BEFORE_POST, AFTER_POST, IN_RECORD,
)  # fmt: skip

NO_BUG: Final = "none"
CURSOR_FIRST: Final = "cursor committed before the alert"
DELIVERED_FIRST: Final = "delivered before the answer"
NEW_ID: Final = "another id for each attempt"


class Crash:
    """Counts how often a point is reached, and ends the process there."""

    def __init__(self, point: str, number: int) -> None:
        self._point = point
        self._left = number
        self._add_alert = store.add_alert
        self._judge_events = AlertJudge.judge_events
        self._add = FanOut._add
        self._attempt = Courier._attempt
        self._settle = courier._settle
        self._raised = False

    def install(self) -> None:
        """Put itself around the real functions."""
        crash = self

        async def judge_events(task: AlertJudge) -> bool:
            more = await crash._judge_events(task)
            if crash._raised:
                crash._raised = False
                crash.reach(AFTER_ALERT)
            return more

        async def add(task: FanOut, tx: Transaction) -> int:
            added = await crash._add(task, tx)
            if added:
                crash.reach(IN_FAN_OUT)
            return added

        async def attempt(task: Courier, claim: Claim) -> Attempt | None:
            crash.reach(BEFORE_POST)
            made = await crash._attempt(task, claim)
            crash.reach(AFTER_POST)
            return made

        async def settle(tx: Transaction, outcomes: Sequence[Any], due: dict[str, int]) -> Any:
            claims = await crash._settle(tx, outcomes, due)
            if outcomes:
                crash.reach(IN_RECORD)
            return claims

        patch.object(judge, "add_alert", self.add_alert).start()
        patch.object(AlertJudge, "judge_events", judge_events).start()
        patch.object(FanOut, "_add", add).start()
        patch.object(Courier, "_attempt", attempt).start()
        patch.object(courier, "_settle", settle).start()

    async def add_alert(self, tx: Transaction, alert: Alert) -> None:
        """Write an alert, unless this is where it ends."""
        self.reach(BEFORE_ALERT)
        await self._add_alert(tx, alert)
        self._raised = True
        self.reach(IN_ALERT)

    def reach(self, point: str) -> None:
        """End the process, if this is the point and the time."""
        if point != self._point:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def plant(bug: str, crash: Crash) -> None:
    """Plant a bug behind the points of a crash."""
    if bug == CURSOR_FIRST:
        _plant_cursor_first(crash)
    elif bug == DELIVERED_FIRST:
        _plant_delivered_first()
    elif bug == NEW_ID:
        _plant_new_id()


def _plant_cursor_first(crash: Crash) -> None:
    judge_events = AlertJudge.judge_events

    async def judge_first(task: AlertJudge) -> bool:
        waiting: list[Alert] = []

        async def keep(_: Transaction, alert: Alert) -> None:
            waiting.append(alert)

        with patch.object(judge, "add_alert", keep):
            more = await judge_events(task)
        if waiting:
            async with task._database.write() as tx:
                for alert in waiting:
                    await crash.add_alert(tx, alert)
        return more

    patch.object(AlertJudge, "judge_events", judge_first).start()


def _plant_delivered_first() -> None:
    attempt = Courier._attempt

    async def record_first(task: Courier, claim: Claim) -> Attempt | None:
        verdict = schedule.judge(Attempt(status=204), failures=0, rng=random.Random(0))
        outcome = courier._Outcome(claim=claim, status=204, verdict=verdict)
        await task._database.transact(lambda tx: courier._record(tx, outcome))
        return await attempt(task, claim)

    patch.object(Courier, "_attempt", record_first).start()


def _plant_new_id() -> None:
    signed = signature.signed_headers

    def sign(
        keys: Sequence[Secret], *, message_id: str, at: datetime, body: bytes
    ) -> Mapping[str, str]:
        del message_id
        return signed(keys, message_id=new_id(), at=at, body=body)

    patch.object(courier, "signed_headers", sign).start()


if __name__ == "__main__":
    made = Crash(sys.argv[1], int(sys.argv[2]))
    made.install()
    plant(sys.argv[3], made)
    sys.exit(main(sys.argv[4:]))
