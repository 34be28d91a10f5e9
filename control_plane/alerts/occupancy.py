"""Telemetry for rules about occupancy: a change that matters enters the feed with its sample.

Samples are not in the change feed; there would be far too many. The transaction that writes a group
of them looks, where a rule asks for it, whether a count goes over a rule's limit or no longer does,
and appends an event of the control plane's own. So no crossing is acknowledged and lost, and
``judge.py`` judges it like every other fact. Which limits the newest count was over stands in the
database, since the next sample may come to another replica.

Without such a rule a group costs one look at ``is_watching``; with one, a look-up for each sample.
Other replicas hear of a new rule through the feed, a moment after it was made.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, tuple_

from control_plane.alerts.model import OCCUPANCY_OVER, Rule
from control_plane.alerts.rules import enabled_rules
from control_plane.alerts.tables import OccupancyLevelRow
from control_plane.database import Database, Transaction
from control_plane.events.feed import ChangeFeed
from control_plane.events.types import ALERT_RULES_CHANGED, OCCUPANCY_CHANGED
from control_plane.telemetry.model import Sample
from control_plane.telemetry.plan import SampleKey
from service_runtime.errors import OutOfRange
from service_runtime.resume_tokens import ResumeToken

MOST_CHANGES: Final = 100

Entry = tuple[int, int, bool]
"""Microseconds since 1970, people, and whether newer samples came before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rule's limit; ``key`` names the rule and its version."""

    key: str
    over: int


Limits = Mapping[str, tuple[Limit, ...]]
"""The limits of a camera, by zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Which counts to look at: of cameras that rules name, and of all others."""

    of_camera: Mapping[str, Limits]
    elsewhere: Limits

    @property
    def is_empty(self) -> bool:
        """Whether no rule asks for counts."""
        return not self.of_camera and not self.elsewhere

    def limits(self, camera_id: str) -> Limits:
        """Return the limits of a camera."""
        return self.of_camera.get(camera_id, self.elsewhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The limits that a count is over, and when that changed last."""

    over: frozenset[str] = frozenset()
    changed_us: int = 0


NONE_WATCHED: Final = Watched(of_camera={}, elsewhere={})


class OccupancyWatch:
    """What the writer of telemetry asks; ``run`` keeps it up with the rules."""

    def __init__(self, database: Database, feed: ChangeFeed) -> None:
        self._database = database
        self._feed = feed
        self._watched = NONE_WATCHED

    @property
    def is_watching(self) -> bool:
        """Whether any rule asks for counts."""
        return not self._watched.is_empty

    async def start(self) -> ResumeToken:
        """Read the rules and return the position from which ``run`` must follow."""
        async with self._database.read() as session:
            head = await self._feed.head(session)
            self._watched = watched_by(await enabled_rules(session))
        return head

    async def refresh(self) -> None:
        """Read the rules anew."""
        await self.start()

    async def run(self, after: ResumeToken) -> None:
        """Follow changes of rules, until the feed is closed."""
        try:
            await self._follow(after)
        except OutOfRange:
            # after an outage, or where the database was restored: read them anew
            await self._follow(await self.start())

    async def _follow(self, after: ResumeToken) -> None:
        batches = self._feed.subscribe(after)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                if any(event.type == ALERT_RULES_CHANGED for event in batch.events):
                    await self.refresh()

    async def note(self, tx: Transaction, samples: Sequence[tuple[SampleKey, Sample]]) -> None:
        """Append what samples change to the feed, in the transaction that writes them."""
        watched = self._watched
        counts: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for (camera_id, observed_us, _), sample in samples:
            if sample.zone in watched.limits(camera_id):
                place = (camera_id, sample.zone)
                counts.setdefault(place, []).append((observed_us, sample.occupancy))
        if not counts:
            return
        rows = await _levels(tx, counts)
        for place in sorted(counts):
            camera_id, zone = place
            row = rows.get(place)
            before = Level()
            if row is not None:
                before = Level(over=frozenset(row.over), changed_us=row.changed_us)
            limits = watched.limits(camera_id)[zone]
            after, entries = changes(limits, before, counts[place])
            if after != before:
                if row is None:
                    row = OccupancyLevelRow(camera_id=camera_id, zone=zone)
                    tx.session.add(row)
                row.over, row.changed_us = sorted(after.over), after.changed_us
            if entries:
                await tx.append_event(
                    OCCUPANCY_CHANGED,
                    camera_id=camera_id,
                    payload={"zone": zone, "samples": [list(entry) for entry in entries]},
                )


def watched_by(rules: Iterable[Rule]) -> Watched:
    """Return which counts the rules ask for."""
    elsewhere: dict[str, tuple[Limit, ...]] = {}
    named: dict[str, list[tuple[str, Limit]]] = {}
    for rule in rules:
        condition = rule.condition
        if rule.kind != OCCUPANCY_OVER or not rule.enabled or condition.over is None:
            continue
        limit = Limit(key=f"{rule.id}:{rule.version}", over=condition.over)
        if not condition.camera_ids:
            elsewhere[condition.zone] = (*elsewhere.get(condition.zone, ()), limit)
        for camera_id in condition.camera_ids:
            named.setdefault(camera_id, []).append((condition.zone, limit))
    of_camera: dict[str, Limits] = {}
    for camera_id, limits in named.items():
        merged = dict(elsewhere)
        for zone, limit in limits:
            merged[zone] = (*merged.get(zone, ()), limit)
        of_camera[camera_id] = merged
    return Watched(of_camera=of_camera, elsewhere=elsewhere)


def changes(
    limits: Sequence[Limit], before: Level, counts: Iterable[tuple[int, int]]
) -> tuple[Level, list[Entry]]:
    """Return the level after some counts, and those counts that changed it.

    A count from before the newest change changes nothing; where it is over a limit it is told all
    the same, as late. Of very many changes at once the first and the last are told.

    Args:
        limits: The limits that count here.
        before: The level so far.
        counts: Microseconds since 1970 and people, in any order.
    """
    over, changed_us = before.over, before.changed_us
    entries: list[Entry] = []
    for observed_us, people in sorted(counts):
        now_over = frozenset(limit.key for limit in limits if people > limit.over)
        if observed_us < changed_us:
            if now_over:
                entries.append((observed_us, people, True))
        elif now_over != over:
            entries.append((observed_us, people, False))
            over, changed_us = now_over, observed_us
    if len(entries) > MOST_CHANGES:
        half = MOST_CHANGES // 2
        entries = entries[:half] + entries[-half:]
    return Level(over=over, changed_us=changed_us), entries


async def _levels(
    tx: Transaction, places: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], OccupancyLevelRow]:
    key = tuple_(OccupancyLevelRow.camera_id, OccupancyLevelRow.zone)
    query = (
        select(OccupancyLevelRow)
        .where(key.in_(sorted(places)))
        .order_by(OccupancyLevelRow.camera_id, OccupancyLevelRow.zone)
        .with_for_update()
    )
    return {(row.camera_id, row.zone): row for row in await tx.session.scalars(query)}
