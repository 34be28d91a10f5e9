"""Following alerts: events say which to look at, what is sent is how they are now."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from control_plane.alerts.mapping import alert_message
from control_plane.alerts.store import AlertStore
from control_plane.events.feed import ChangeFeed
from control_plane.events.model import FeedEvent
from dfip.control_plane.v1.alert_service_pb2 import WatchAlertsResponse
from service_runtime.resume_tokens import ResumeToken

_QUIET_EVENTS: Final = 1000


class AlertWatch:
    """What ``WatchAlerts`` sends."""

    def __init__(self, feed: ChangeFeed, store: AlertStore) -> None:
        self._feed = feed
        self._store = store

    async def watch(
        self, *, rule_id: str | None, camera_id: str | None, after: ResumeToken | None
    ) -> AsyncGenerator[WatchAlertsResponse]:
        """Yield a checkpoint at once, then alerts that were raised or acknowledged, without end.

        Raises:
            OutOfRange: ``RESUME_TOKEN_EXPIRED``.
        """
        after = await self._feed.place(after)
        yield WatchAlertsResponse(resume_token=after.encode())
        told = after.sequence
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                touched = {
                    alert["id"]
                    for event in batch.events
                    if (alert := _alert_in(event)) is not None
                    and camera_id in {None, event.camera_id}
                    and rule_id in {None, alert["rule_id"]}
                }
                alerts = await self._store.some(touched) if touched else []
                # events of other kinds move the token too, so that it does not grow old
                if not alerts and batch.resume_token.sequence - told < _QUIET_EVENTS:
                    continue
                told = batch.resume_token.sequence
                yield WatchAlertsResponse(
                    alerts=[alert_message(alert, person_name=name) for alert, name in alerts],
                    resume_token=batch.resume_token.encode(),
                )


def _alert_in(event: FeedEvent) -> dict[str, str] | None:
    """Return the alert of an event; None also where an erasure has emptied it."""
    alert: dict[str, str] | None = event.payload.get("alert")
    return alert if event.type.startswith("alert.") else None
