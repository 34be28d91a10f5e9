"""Who was found of those whom the labelled clip shows, and whether anybody was named wrongly.

A visit counts as found when its person is named at any moment of it. The same measure for the
worker's sightings, which last from one moment to another, and for loops that name single frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.sites.labelled_clip import Visit

_SLACK_S = 1.0  # clocks, and faces that are seen a moment before or after


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name that was given, in seconds of the time line on which the clip repeats itself."""

    person: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What became of the visits.

    Attributes:
        visits: visits of people who are enrolled.
        found: those whose person was named meanwhile.
        names: how often a name was given.
        wrong: names of somebody who was not there.
    """

    visits: int
    found: int
    names: int
    wrong: int

    def describe(self) -> dict[str, object]:
        """Return the figures."""
        share = round(self.found / self.visits, 3) if self.visits else None
        return {
            "visits": self.visits,
            "found": self.found,
            "recall": share,
            "names": self.names,
            "wrong_names": self.wrong,
        }


def recall(
    visits: Sequence[Visit],
    named: Sequence[Named],
    *,
    length_s: float,
    begin_s: float = 0.0,
    end_s: float | None = None,
) -> Recall:
    """Compare names with visits.

    Args:
        visits: of one round of the clip.
        named: who was named when.
        length_s: of a round.
        begin_s: visits before this moment are left out.
        end_s: visits that end after it are left out; by default the end of the first round.
    """
    end_s = length_s if end_s is None else end_s
    shown = [
        (visit, visit.begin_s + turn * length_s, visit.end_s + turn * length_s)
        for turn in range(int(begin_s // length_s), int(end_s // length_s) + 1)
        for visit in visits
        if visit.known
    ]
    counted = [one for one in shown if begin_s <= one[1] and one[2] <= end_s]
    found = sum(
        any(name.person == visit.person and _meet(name, begin, end, slack_s=0.0) for name in named)
        for visit, begin, end in counted
    )
    wrong = sum(
        not any(
            name.person == visit.person and _meet(name, begin, end, slack_s=_SLACK_S)
            for visit, begin, end in shown
        )
        for name in named
    )
    return Recall(visits=len(counted), found=found, names=len(named), wrong=wrong)


def _meet(name: Named, begin_s: float, end_s: float, *, slack_s: float) -> bool:
    return name.begin_s <= end_s + slack_s and name.end_s >= begin_s - slack_s
