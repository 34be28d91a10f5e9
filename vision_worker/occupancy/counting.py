"""Numbers for telemetry: every few seconds, how many people are in the picture and in each zone.

Pure. Within an unbroken run each sample is the one before it plus who came in less who went out.
Whoever is there when a run begins was there already and has not come in: a camera that reconnects
must not count its visitors twice. `pipeline.py` shows every frame; the samples go into the spool.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service_runtime.polygons import Point, is_inside, named_polygons
from vision_worker.occupancy.people import People, PresenceRules, SeenFace

WHOLE_PICTURE: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancyRules:
    """How people are counted.

    Attributes:
        every_s: a sample for each zone in every span of so many seconds of wall-clock time.
        arrival_s: whoever is seen so soon after the beginning was there already.
    """

    every_s: float = 5.0
    arrival_s: float = 1.0
    presence: PresenceRules = field(default_factory=PresenceRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancySample:
    """How many people are in a zone.

    Attributes:
        at: wall-clock time in UTC.
        zone: its name; empty is the whole picture.
        confidence: 0 to 1; None where nobody is counted.
        entries: people who came in since the sample before.
        exits: people who went out since then.
    """

    at: datetime
    zone: str
    occupancy: int
    confidence: float | None
    entries: int
    exits: int


class OccupancyCounter:
    """Counts the people of one camera.

    Args:
        zone_config: What the operator drew: `{zones: [{name, polygon: [[x, y], …]}]}`, fractions
            of the picture; anything else in it is passed over.
        rules: How people are counted.
    """

    def __init__(
        self, zone_config: Mapping[str, Any], rules: OccupancyRules = OccupancyRules()
    ) -> None:
        self._polygons = named_polygons(zone_config.get("zones"))
        self._zones = (WHOLE_PICTURE, *dict.fromkeys(name for name, _ in self._polygons))
        self._rules = rules
        self.restart()

    def restart(self) -> None:
        """Begin anew, after a time in which nobody looked."""
        self._people = People(self._zones_at, self._rules.presence)
        self._entries: Counter[str] = Counter()
        self._exits: Counter[str] = Counter()
        self._began_s: float | None = None
        self._span: int | None = None

    def see(
        self, *, at: datetime, media_s: float, faces: Sequence[SeenFace], aspect: float
    ) -> tuple[OccupancySample, ...]:
        """Take one frame; return the samples that are due, one a zone, or none.

        Args:
            at: wall-clock time of the frame, UTC.
            media_s: seconds on the stream's own time line; never runs backwards.
            faces: those of confirmed tracks.
            aspect: width of the picture in heights.
        """
        if self._began_s is None:
            self._began_s = media_s
        arriving = media_s - self._began_s < self._rules.arrival_s
        crossings = self._people.see(media_s, faces, aspect=aspect)
        if not arriving:
            self._entries.update(crossings.appeared)
            self._entries.update(crossings.entered)
            self._exits.update(crossings.left)
        span = int(at.timestamp() // self._rules.every_s)
        if arriving or span == self._span:
            return ()
        self._span = span
        samples = tuple(
            OccupancySample(
                at=at,
                zone=zone,
                occupancy=self._people.inside(zone),
                confidence=self._people.confidence(zone, media_s),
                entries=self._entries[zone],
                exits=self._exits[zone],
            )
            for zone in self._zones
        )
        self._entries.clear()
        self._exits.clear()
        return samples

    def _zones_at(self, point: Point) -> frozenset[str]:
        named = {name for name, polygon in self._polygons if is_inside(point, polygon)}
        return frozenset({WHOLE_PICTURE, *named})
