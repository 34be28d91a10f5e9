"""The best shots of one track: which to keep, and when a new embedding is worth its price.

Pure. A track shows one face many times; most views are worse than the best few, and an embedding
costs more than anything but detection. So the first decision comes from the first good views, and
afterwards only a clear improvement is embedded. `pipeline.py` offers every view of a track and
embeds those that are taken.
"""

from dataclasses import dataclass, replace

from face_engine.values import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRules:
    """What is worth an embedding.

    Attributes:
        kept: shots that a track keeps.
        good_quality: a view of this quality is taken at once, without waiting for a better one.
        patience_s: time into the track after which the best view so far has to do; with the
            answer of the index it stays below the 3 s of a first decision.
        spacing_s: least time between two shots, so that they are different views.
        late_spacing_s: the same once `early` shots are there: no hurry any more.
        early: shots that a decision wants quickly.
        improvement: by how much a view must beat the worst kept one to replace it.
    """

    kept: int = 5
    good_quality: float = 0.6
    patience_s: float = 0.5
    spacing_s: float = 0.35
    late_spacing_s: float = 1.0
    early: int = 2
    improvement: float = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One kept view of a track.

    Attributes:
        key: names the shot within its track.
        at_s: media time in seconds.
        quality: 0 to 1.
    """

    key: int
    at_s: float
    quality: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BestShots:
    """The shots of one track so far; `offer` returns the next state.

    Attributes:
        started_s: media time at which the track began.
        shots: the kept ones, in the order of time.
        next_key: key of the next shot; also how many were taken in all.
        last_taken_s: media time of the latest shot taken, kept or since replaced.
    """

    started_s: float
    shots: tuple[Shot, ...] = ()
    next_key: int = 0
    last_taken_s: float | None = None

    def offer(
        self, *, at_s: float, quality: float, verdict: Verdict, rules: ShotRules
    ) -> tuple["BestShots", Shot | None]:
        """Return the state after a view was seen, and the shot to embed if it was taken."""
        if not self.wanted(at_s=at_s, quality=quality, verdict=verdict, rules=rules):
            return self, None
        shot = Shot(key=self.next_key, at_s=at_s, quality=quality)
        kept = self.shots
        if len(kept) >= rules.kept:
            worst = min(kept, key=lambda one: one.quality)
            kept = tuple(one for one in kept if one is not worst)
        state = replace(self, shots=(*kept, shot), next_key=self.next_key + 1, last_taken_s=at_s)
        return state, shot

    def wanted(self, *, at_s: float, quality: float, verdict: Verdict, rules: ShotRules) -> bool:
        """Return whether `offer` would take such a view, or, told the best case, could take it."""
        if verdict == "poor":
            return False
        count = len(self.shots)
        spacing = rules.spacing_s if count < rules.early else rules.late_spacing_s
        if self.last_taken_s is not None and at_s - self.last_taken_s < spacing:
            return False
        if count < rules.kept:
            good = verdict == "good" or quality >= rules.good_quality
            return good or at_s - self.started_s >= rules.patience_s
        return quality >= min(shot.quality for shot in self.shots) + rules.improvement

    @property
    def best(self) -> Shot | None:
        """Return the shot of the highest quality, the earlier of equals."""
        return max(self.shots, key=lambda shot: shot.quality, default=None)
