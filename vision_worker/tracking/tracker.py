"""Turns detections of successive frames into tracks, one a face.

The method is ByteTrack's (Zhang et al. 2022): sure detections are associated first, unsure ones may
only carry tracks on that found no sure one, and only sure ones begin a track. All times are media
times, because the sampling rate varies. It knows no pictures and no people; `pipeline.py` feeds it
and gathers shots by the ids that it hands out.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vision_worker.tracking.association import associate, overlap
from vision_worker.tracking.motion import Motion

TrackState = Literal["tentative", "confirmed"]

_USUAL_STEP_S, _LONGEST_STEP_S = 0.4, 2.0  # between two frames
_ONE_MISS = 1.5  # steps
_FURTHEST = 4.0  # times the usual reach


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingRules:
    """When a track begins, holds and ends.

    Attributes:
        sure_score: detections of this confidence begin tracks.
        confirm_hits: detections that confirm a track.
        tentative_s: time without a detection after which an unconfirmed track is dropped.
        lost_s: the same for a confirmed one, which then ends.
        reach: gate of the first association, in face sizes.
        unsure_reach: gate for unsure detections.
        duplicate_overlap: an unmatched detection that covers a tracked face this far begins none.
        most_tracks: living tracks; further faces wait until one ends.
    """

    sure_score: float = 0.7
    confirm_hits: int = 2
    tentative_s: float = 0.45
    lost_s: float = 1.2
    reach: float = 1.1
    unsure_reach: float = 0.6
    duplicate_overlap: float = 0.5
    most_tracks: int = 64

    def at_step(self, step_s: float) -> "TrackingRules":
        """Return the rules for a frame that comes this long after the one before.

        Where frames are few, by choice or because the machine is slow, a face that was seen in
        the one before is not gone, and it went further meanwhile.
        """
        step_s = min(step_s, _LONGEST_STEP_S)
        if step_s <= _USUAL_STEP_S:
            return self
        return replace(
            self,
            lost_s=max(self.lost_s, _ONE_MISS * step_s),
            reach=self.reach * min(step_s / _USUAL_STEP_S, _FURTHEST),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFace:
    """A detection of this frame and the track it belongs to.

    Attributes:
        detection: row of the frame's detections.
    """

    track_id: int
    detection: int
    state: TrackState


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackUpdate:
    """What one frame changed.

    Attributes:
        faces: the detections that belong to a track.
        ended: confirmed tracks that are over; their ids never return.
        dropped: unconfirmed tracks that are over.
    """

    faces: tuple[TrackedFace, ...]
    ended: tuple[int, ...]
    dropped: tuple[int, ...]


@dataclass(slots=True)
class _Track:
    """Lifecycle of one row of the motion states."""

    track_id: int
    hits: int
    seen_s: float
    confirmed: bool


class FaceTracker:
    """Tracks of one camera. Not thread-safe."""

    def __init__(self, rules: TrackingRules | None = None) -> None:
        self._asked_rules = rules or TrackingRules()
        self._rules = self._asked_rules  # for the frame at hand
        self._tracks: list[_Track] = []
        self._motion = Motion.begin(np.zeros((0, 4)))
        self._next_id = 1
        self._now_s: float | None = None

    def __len__(self) -> int:
        """Return how many tracks live, unconfirmed and unseen ones included."""
        return len(self._tracks)

    def update(
        self, time_s: float, boxes: NDArray[np.floating], scores: NDArray[np.floating]
    ) -> TrackUpdate:
        """Take the detections of one frame.

        Args:
            time_s: media time in seconds; a time that does not advance counts as no time.
            boxes: (n, 4) xyxy in pixels.
            scores: (n,) confidence, 0 to 1.
        """
        found = np.asarray(boxes, np.float64).reshape(-1, 4)
        sure = np.asarray(scores) >= self._rules.sure_score
        passed = 0.0 if self._now_s is None else max(0.0, time_s - self._now_s)
        now = time_s if self._now_s is None else max(time_s, self._now_s)
        self._now_s = now
        if self._tracks:
            self._motion = self._motion.predicted(passed)
        self._rules = self._asked_rules.at_step(passed)

        pairs = self._match(found, np.flatnonzero(sure), sure_ones=True, taken={})
        pairs |= self._match(found, np.flatnonzero(~sure), sure_ones=False, taken=pairs)
        self._correct(found, pairs, now)
        ended, dropped = self._expire(now)
        begun = self._begin(found, np.flatnonzero(sure), set(pairs.values()), now)
        return TrackUpdate(
            faces=self._faces(pairs, begun),
            ended=ended,
            dropped=dropped,
        )

    def end_all(self) -> TrackUpdate:
        """End every track, as at a cut or at the end of the stream."""
        ended = tuple(track.track_id for track in self._tracks if track.confirmed)
        dropped = tuple(track.track_id for track in self._tracks if not track.confirmed)
        self._tracks = []
        self._motion = Motion.begin(np.zeros((0, 4)))
        self._now_s = None
        return TrackUpdate(faces=(), ended=ended, dropped=dropped)

    def _match(
        self,
        found: NDArray[np.float64],
        columns: NDArray[np.intp],
        *,
        sure_ones: bool,
        taken: dict[int, int],
    ) -> dict[int, int]:
        """Return track id to detection for the free tracks and the given detections."""
        rows = np.array(
            [
                row
                for row, track in enumerate(self._tracks)
                if track.track_id not in taken and (sure_ones or track.confirmed)
            ],
            dtype=np.intp,
        )
        reach = self._rules.reach if sure_ones else self._rules.unsure_reach
        pairs = associate(self._motion.boxes[rows], found[columns], reach=reach)
        return {
            self._tracks[int(rows[row])].track_id: int(columns[column]) for row, column in pairs
        }

    def _correct(self, found: NDArray[np.float64], pairs: dict[int, int], now: float) -> None:
        rows = np.array(
            [row for row, track in enumerate(self._tracks) if track.track_id in pairs],
            dtype=np.intp,
        )
        if not rows.size:
            return
        columns = [pairs[self._tracks[int(row)].track_id] for row in rows]
        corrected = self._motion.rows(rows).corrected(found[columns])
        self._motion.mean[rows] = corrected.mean
        self._motion.covariance[rows] = corrected.covariance
        for row in rows:
            track = self._tracks[int(row)]
            track.hits += 1
            track.seen_s = now
            track.confirmed = track.confirmed or track.hits >= self._rules.confirm_hits

    def _expire(self, now: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
        patience = {True: self._rules.lost_s, False: self._rules.tentative_s}
        alive = [now - track.seen_s <= patience[track.confirmed] for track in self._tracks]
        gone = [track for track, kept in zip(self._tracks, alive, strict=True) if not kept]
        if gone:
            self._motion = self._motion.rows(np.flatnonzero(alive))
            self._tracks = [t for t, kept in zip(self._tracks, alive, strict=True) if kept]
        ended = tuple(track.track_id for track in gone if track.confirmed)
        return ended, tuple(track.track_id for track in gone if not track.confirmed)

    def _begin(
        self, found: NDArray[np.float64], columns: NDArray[np.intp], used: set[int], now: float
    ) -> dict[int, int]:
        free = [int(column) for column in columns if int(column) not in used]
        if free and self._tracks:
            current = np.array([track.seen_s == now for track in self._tracks])
            covered = overlap(found[free], self._motion.boxes[current])
            tops = covered.max(axis=1, initial=0.0)
            limit = self._rules.duplicate_overlap
            free = [column for column, top in zip(free, tops, strict=True) if top < limit]
        free = free[: max(0, self._rules.most_tracks - len(self._tracks))]
        begun: dict[int, int] = {}
        for column in free:
            confirmed = self._rules.confirm_hits <= 1
            self._tracks.append(
                _Track(track_id=self._next_id, hits=1, seen_s=now, confirmed=confirmed)
            )
            begun[self._next_id] = column
            self._next_id += 1
        if free:
            self._motion = Motion.joined(self._motion, Motion.begin(found[free]))
        return begun

    def _faces(self, pairs: dict[int, int], begun: dict[int, int]) -> tuple[TrackedFace, ...]:
        confirmed = {track.track_id: track.confirmed for track in self._tracks}
        return tuple(
            TrackedFace(
                track_id=track_id,
                detection=detection,
                state="confirmed" if confirmed[track_id] else "tentative",
            )
            for track_id, detection in sorted((pairs | begun).items())
        )
