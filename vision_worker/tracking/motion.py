"""Where a face is expected next: constant-velocity Kalman filters over many tracks at once.

Pure arrays. Each box is centre x, centre y, width and height, and each of the four has its own
filter of position and velocity, as in SORT (Bewley et al. 2016) but without its coupling, so every
2x2 covariance has a closed form. Noise is relative to the face's height (as in DeepSORT, Wojke et
al. 2017) and grows with the time passed, because the sampling rate varies. `tracker.py` keeps the
rows together with the tracks.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_MEASURED = np.array([0.06, 0.06, 0.12, 0.12])  # of the height; the detector's jitter
_FIRST_VELOCITY = np.array([1.5, 1.5, 0.5, 0.5])  # heights a second, before anything is known
_ACCELERATION = np.array([3.0, 3.0, 0.6, 0.6])  # heights a second, a second
_VELOCITY_MEMORY_S = 0.6  # a lost face is not extrapolated for ever


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """States of n boxes.

    Attributes:
        mean: (n, 4, 2) float64; position and velocity of cx, cy, w, h in pixels and pixels/s.
        covariance: (n, 4, 2, 2) float64.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.mean.shape[0])

    @classmethod
    def begin(cls, boxes: NDArray[np.float64]) -> Self:
        """Return resting states for new boxes, (n, 4) xyxy in pixels."""
        measured = to_centres(boxes)
        height = measured[:, 3:4]
        mean = np.stack([measured, np.zeros_like(measured)], axis=2)
        covariance = np.zeros((*measured.shape, 2, 2))
        covariance[:, :, 0, 0] = (_MEASURED * height) ** 2
        covariance[:, :, 1, 1] = (_FIRST_VELOCITY * height) ** 2
        return cls(mean=mean, covariance=covariance)

    @classmethod
    def joined(cls, first: Self, second: Self) -> Self:
        """Return the rows of both, the first ones first."""
        return cls(
            mean=np.concatenate([first.mean, second.mean]),
            covariance=np.concatenate([first.covariance, second.covariance]),
        )

    def rows(self, indices: NDArray[np.intp]) -> Self:
        """Return the given rows, in the given order."""
        return type(self)(mean=self.mean[indices], covariance=self.covariance[indices])

    def predicted(self, seconds: float) -> Self:
        """Return the states some time later; velocities fade."""
        fade = float(np.exp(-seconds / _VELOCITY_MEMORY_S))
        reach = _VELOCITY_MEMORY_S * (1 - fade)  # the integral of a fading velocity
        step = np.array([[1.0, reach], [0.0, fade]])
        height = np.maximum(self.mean[:, 3, 0], 1.0)[:, None]
        push = (_ACCELERATION * height) ** 2
        noise = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        mean = self.mean @ step.T
        mean[:, 2:, 0] = np.maximum(mean[:, 2:, 0], 1.0)
        covariance = step @ self.covariance @ step.T + push[:, :, None, None] * noise
        return type(self)(mean=mean, covariance=covariance)

    def corrected(self, boxes: NDArray[np.float64]) -> Self:
        """Return the states after each row was measured; boxes (n, 4) xyxy in pixels."""
        measured = to_centres(boxes)
        noise = (_MEASURED * measured[:, 3:4]) ** 2
        gain = self.covariance[:, :, :, 0] / (self.covariance[:, :, 0, 0] + noise)[:, :, None]
        surprise = measured - self.mean[:, :, 0]
        mean = self.mean + gain * surprise[:, :, None]
        covariance = (
            self.covariance - gain[:, :, :, None] * self.covariance[:, :, 0, :][:, :, None, :]
        )
        return type(self)(mean=mean, covariance=covariance)

    @property
    def boxes(self) -> NDArray[np.float64]:
        """Return the boxes, (n, 4) xyxy in pixels."""
        centre, side = self.mean[:, :2, 0], self.mean[:, 2:, 0]
        return np.concatenate([centre - side / 2, centre + side / 2], axis=1)


def to_centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 4) xyxy as (n, 4) centre x, centre y, width, height; sides are at least 1."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, sides], axis=1)
