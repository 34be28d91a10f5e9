"""The best shots of one track: which to keep, and when a new embedding is worth its price.

Pure. A track shows one face many times; most views are worse than the best few, and an embedding
costs more than anything but detection. So the first decision comes from the first good views, and
afterwards only a clear improvement is embedded. Poor views are never compared with anybody; the
best of a few of them stands in for a track that shows nothing better, so that nobody passes unseen.
`pipeline.py` offers every view of a track and embeds those that are taken.
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
        late_spacing_s: the same once `early` such shots are there: no hurry any more.
        early: shots that a decision wants quickly: of any quality, and as many good ones, so that
            one good second after many bad ones still gives two shots that can agree.
        improvement: by how much a view must beat the worst kept one to replace it.
        stand_in_after_s: time into the track after which a poor view stands in for it; what is seen
            for less may be no face at all.
        stand_in_frames: frames that must have shown the face by then.
        stand_in_spacing_s: least time between two stand-ins.
        stand_ins: that a track tries at most.
    """

    kept: int = 5
    good_quality: float = 0.6
    patience_s: float = 0.5
    spacing_s: float = 0.35
    late_spacing_s: float = 1.0
    early: int = 2
    improvement: float = 0.08
    stand_in_after_s: float = 1.0
    stand_in_frames: int = 4
    stand_in_spacing_s: float = 1.0
    stand_ins: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One kept view of a track.

    Attributes:
        key: names the shot within its track.
        at_s: media time in seconds.
        quality: 0 to 1.
        good: it was worth taking without waiting for a better one.
    """

    key: int
    at_s: float
    quality: float
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BestShots:
    """The shots of one track so far; `offer` returns the next state.

    Attributes:
        started_s: media time at which the track began.
        shots: the kept ones, in the order of time.
        next_key: key of the next shot; also how many were taken in all.
        last_taken_s: media time of the latest shot taken, kept or since replaced.
        stand_in: the best poor view, where there is no shot.
        stand_ins: poor views that were looked at for that.
        last_stand_in_s: media time of the latest of them.
    """

    started_s: float
    shots: tuple[Shot, ...] = ()
    next_key: int = 0
    last_taken_s: float | None = None
    stand_in: Shot | None = None
    stand_ins: int = 0
    last_stand_in_s: float | None = None

    def offer(
        self, *, at_s: float, quality: float, verdict: Verdict, rules: ShotRules
    ) -> tuple["BestShots", Shot | None]:
        """Return the state after a view was seen, and the shot to embed if it was taken."""
        if not self.wanted(at_s=at_s, quality=quality, verdict=verdict, rules=rules):
            return self, None
        good = _is_good(quality, verdict, rules)
        shot = Shot(key=self.next_key, at_s=at_s, quality=quality, good=good)
        kept = self.shots
        if len(kept) >= rules.kept:
            worst = min(kept, key=lambda one: one.quality)
            kept = tuple(one for one in kept if one is not worst)
        state = replace(self, shots=(*kept, shot), next_key=self.next_key + 1, last_taken_s=at_s)
        return state, shot

    def wanted(self, *, at_s: float, quality: float, verdict: Verdict, rules: ShotRules) -> bool:
        """Return whether `offer` takes such a view.

        A better view is never refused where a worse one is taken, so told the best that a view can
        still be this says whether it is worth a closer look.
        """
        if verdict == "poor":
            return False
        good = _is_good(quality, verdict, rules)
        alike = [shot for shot in self.shots if shot.good] if good else self.shots
        spacing = rules.spacing_s if len(alike) < rules.early else rules.late_spacing_s
        if self.last_taken_s is not None and at_s - self.last_taken_s < spacing:
            return False
        if len(self.shots) < rules.kept:
            return good or at_s - self.started_s >= rules.patience_s
        return quality >= min(shot.quality for shot in self.shots) + rules.improvement

    def lacks_stand_in(self, *, at_s: float, frames: int, rules: ShotRules) -> bool:
        """Return whether a poor view is worth a closer look, as nothing better was seen yet.

        Args:
            at_s: media time in seconds.
            frames: in which the face was seen so far.
            rules: how long a poor face must last.
        """
        if self.next_key or self.stand_ins >= rules.stand_ins or frames < rules.stand_in_frames:
            return False
        if self.last_stand_in_s is not None:
            return at_s - self.last_stand_in_s >= rules.stand_in_spacing_s
        return at_s - self.started_s >= rules.stand_in_after_s

    def offer_stand_in(self, *, at_s: float, quality: float) -> tuple["BestShots", Shot | None]:
        """Return the state after such a look, and the view if it stands in for the track now."""
        shot = Shot(key=self.next_key, at_s=at_s, quality=quality, good=False)
        looked = replace(self, stand_ins=self.stand_ins + 1, last_stand_in_s=at_s)
        if self.stand_in is not None and quality <= self.stand_in.quality:
            return looked, None
        return replace(looked, stand_in=shot), shot

    @property
    def best(self) -> Shot | None:
        """Return the shot of the highest quality, the earlier of equals."""
        return max(self.shots, key=lambda shot: shot.quality, default=None)


def _is_good(quality: float, verdict: Verdict, rules: ShotRules) -> bool:
    return verdict == "good" or quality >= rules.good_quality
