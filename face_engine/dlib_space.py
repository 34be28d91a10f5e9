"""The space in which outputs of dlib's network are compared, and where its thresholds come from.

dlib's network was trained so that two pictures of one person are closer than 0.56 and of two
persons farther than 0.64 in the Euclidean distance of its raw outputs (0.6 and a margin of 0.04,
both stored in the file; 0.6 gives 0.9938 on LFW, dlib's dnn_face_recognition_ex). All raw outputs
share a large common part, so that their plain cosine is 0.74 to 0.99 for any two faces, and the
outputs of blurred faces move towards that part, where the distance calls them all one person: of
the 4,950 pairs of the blurred faces below, 35 % are closer than 0.6, and 0.1 % have a cosine above
the match threshold here. So the common part is taken away and the cosine of the rest is the score.

The common part is the mean output over the first 100 pictures (the faces) of `lfw_subset.npy` in
scikit-image 0.26: 25x25 grey, enlarged to 150x150 by cv2.INTER_CUBIC, each averaged with its mirror
image. A test computes it again. Sharp faces then have a length of 0.59 to 0.68, 0.63 in the middle,
and for two of the same length r the score is 1 - distance^2 / (2 r^2): with r = 0.63 the trained
distances 0.56 and 0.64 become the scores 0.605 and 0.484, the published 0.6 becomes 0.546.
Measured on ten photographs of three people: same 0.73 to 0.99, different at most 0.26.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DLIB_MATCH = 0.60
"""At or above: closer than training pushed two pictures of one person."""
DLIB_REVIEW = 0.48
"""Below: farther than training pushed pictures of two persons."""
DLIB_MARGIN = 0.10
"""The runner-up has to be nearly in the range of strangers when the best just matches."""

_SHORTEST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparisonSpace:
    """Maps raw outputs of a network to unit vectors whose dot product is the score.

    Attributes:
        centre: (d,) float32; the common part of all outputs.
    """

    centre: NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """Return the length of an embedding."""
        return int(self.centre.size)

    def place(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, d) float32 of unit length for (n, d) raw outputs."""
        moved = raw - self.centre
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        placed: NDArray[np.float32] = (moved / np.maximum(lengths, _SHORTEST)).astype(np.float32)
        return placed


_DLIB_CENTRE = """
    -0.0818 0.0622 0.0432 -0.0105 -0.1018 -0.0268 0.0070 -0.1403 0.1200 -0.0758 0.1495 -0.0569
    -0.2208 -0.0807 -0.0237 0.1060 -0.1274 -0.1185 -0.1028 -0.0793 0.0202 0.0494 0.0587 0.0081
    -0.1365 -0.2946 -0.0757 -0.0855 0.0441 -0.0548 0.0313 0.0885 -0.2308 -0.0651 0.0080 0.0765
    -0.0623 -0.0535 0.2209 0.0116 -0.1658 0.0401 0.0694 0.2266 0.2038 -0.0311 0.0006 -0.0488
    0.1184 -0.2306 0.0350 0.1609 0.1519 0.0829 0.0691 -0.1101 0.0354 0.1395 -0.1864 0.0783
    0.0658 -0.0770 -0.0267 -0.0040 0.1391 0.0774 -0.0643 -0.1457 0.1661 -0.1569 -0.0461 0.0925
    -0.0972 -0.1518 -0.2660 0.0388 0.3390 0.1242 -0.1804 0.0020 -0.0850 -0.0180 0.0198 0.0329
    -0.0593 -0.0589 -0.0949 0.0193 0.1770 -0.0197 -0.0374 0.2415 0.0404 -0.0231 0.0321 0.0271
    -0.1138 -0.0146 -0.1165 -0.0318 0.0536 -0.1188 0.0124 0.1179 -0.1834 0.1862 -0.0388 -0.0195
    0.0029 -0.0165 -0.0735 0.0145 0.1461 -0.2308 0.2155 0.1443 -0.0388 0.1204 0.0545 0.0827
    -0.0184 0.0041 -0.1265 -0.1297 0.0295 -0.0168 0.0185 0.0500
"""

DLIB_SPACE = ComparisonSpace(centre=np.array(_DLIB_CENTRE.split(), np.float32))
