"""Who is where: people of one camera's picture, carried over the moments when nobody sees them.

Pure. A track ends when a face turns away and another begins when it turns back; counted by tracks,
one visitor would come and go all day. So a person whose track ended lingers for a moment, and a new
face close by takes the place. Which zones a person is in settles with a delay, so that whoever
stands on a line does not cross it with every frame. `counting.py` makes numbers of the crossings.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service_runtime.polygons import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceRules:
    """When a person is somewhere.

    Attributes:
        settle_s: time on the other side of a zone's edge after which that side counts.
        linger_s: time for which a person whom nobody sees any more still counts.
        reach: distance within which a new face takes a lingering person's place, in heights of
            the face.
        most_people: people of one picture; beyond them whoever was unseen longest is gone.
    """

    settle_s: float = 0.4
    linger_s: float = 3.0
    reach: float = 1.5
    most_people: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFace:
    """A confirmed track's face in one frame.

    Attributes:
        centre: of its box, as fractions of the picture.
        height: of its box, as a fraction of the picture's height.
        score: the detector's confidence, 0 to 1.
    """

    track_id: int
    centre: Point
    height: float
    score: float


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody in the picture.

    Attributes:
        inside: the zones that they are in, settled.
        turned_s: when they were first seen on the other side of each zone that this has not
            settled for.
    """

    centre: Point
    height: float
    score: float
    seen_s: float
    inside: frozenset[str] = frozenset()
    turned_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """Who crossed what in one frame: names of zones, one for each crossing.

    Attributes:
        appeared: zones of people who were not there before.
        entered: zones that people went into.
        left: zones that people went out of, or were in when they were gone.
    """

    appeared: tuple[str, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]


class People:
    """The people of one picture.

    Args:
        zones_at: Returns the names of the zones that a point is in.
        rules: When a person is somewhere.
    """

    def __init__(
        self, zones_at: Callable[[Point], frozenset[str]], rules: PresenceRules = PresenceRules()
    ) -> None:
        self._zones_at = zones_at
        self._rules = rules
        self._people: dict[int, Person] = {}

    def __len__(self) -> int:
        """Return how many there are, lingering ones included."""
        return len(self._people)

    def see(self, time_s: float, faces: Sequence[SeenFace], *, aspect: float) -> Crossings:
        """Take the faces of one frame.

        Args:
            time_s: media time in seconds; never runs backwards.
            faces: at most one a track.
            aspect: width of the picture in heights, so that distances are true.
        """
        appeared: list[str] = []
        entered: list[str] = []
        left: list[str] = []
        newcomers: list[SeenFace] = []
        for face in faces:
            person = self._people.get(face.track_id)
            if person is None:
                newcomers.append(face)
            else:
                self._settle(person, face, time_s, entered, left)
        for face in newcomers:
            person = self._replaced_by(face, time_s, aspect)
            if person is not None:
                self._people[face.track_id] = person
                self._settle(person, face, time_s, entered, left)
                continue
            inside = self._zones_at(face.centre)
            self._people[face.track_id] = Person(
                centre=face.centre, height=face.height, score=face.score,
                seen_s=time_s, inside=inside,
            )  # fmt: skip
            appeared.extend(inside)
        for zones in self._gone(time_s):
            left.extend(zones)
        return Crossings(appeared=tuple(appeared), entered=tuple(entered), left=tuple(left))

    def inside(self, zone: str) -> int:
        """Return how many people are in a zone."""
        return sum(zone in person.inside for person in self._people.values())

    def confidence(self, zone: str, time_s: float) -> float | None:
        """Return how sure that number is, 0 to 1; None where nobody is counted.

        It is the mean of the detector's confidences, less for those whom nobody sees any more.
        """
        sure = [
            person.score * max(0.0, 1 - (time_s - person.seen_s) / self._rules.linger_s)
            for person in self._people.values()
            if zone in person.inside
        ]
        return sum(sure) / len(sure) if sure else None

    def _settle(
        self,
        person: Person,
        face: SeenFace,
        time_s: float,
        entered: list[str],
        left: list[str],
    ) -> None:
        person.centre, person.height, person.score = face.centre, face.height, face.score
        person.seen_s = time_s
        now = self._zones_at(face.centre)
        other_side = now ^ person.inside
        person.turned_s = {zone: person.turned_s.get(zone, time_s) for zone in other_side}
        crossed = {
            zone
            for zone, since_s in person.turned_s.items()
            if time_s - since_s >= self._rules.settle_s
        }
        entered.extend(crossed & now)
        left.extend(crossed - now)
        person.inside = person.inside ^ crossed
        for zone in crossed:
            del person.turned_s[zone]

    def _replaced_by(self, face: SeenFace, time_s: float, aspect: float) -> Person | None:
        """Take out the closest person who is unseen and in reach of a new face."""
        best: tuple[float, int] | None = None
        for track_id, person in self._people.items():
            if person.seen_s >= time_s:
                continue
            across = (person.centre[0] - face.centre[0]) * aspect
            away = math.hypot(across, person.centre[1] - face.centre[1])
            size = max(person.height, face.height)
            if away <= self._rules.reach * size and (best is None or away < best[0]):
                best = away, track_id
        return self._people.pop(best[1]) if best is not None else None

    def _gone(self, time_s: float) -> list[frozenset[str]]:
        longest_unseen = sorted(self._people, key=lambda track_id: self._people[track_id].seen_s)
        too_many = len(self._people) - self._rules.most_people
        gone = [
            track_id
            for place, track_id in enumerate(longest_unseen)
            if place < too_many or time_s - self._people[track_id].seen_s >= self._rules.linger_s
        ]
        return [self._people.pop(track_id).inside for track_id in gone]
