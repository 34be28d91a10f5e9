"""Paints a person who crosses a room: small, blurred, turned, dark or covered, then one good look.

A head with its shoulders is cut out of a photograph with a soft rim and moved over a textured
room. Between the key poses of a story everything changes evenly. The same arguments give the same
frames.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.looks.portraits import Portrait

FPS: Final = 10
SIZE: Final = (640, 360)
Story = Literal["small", "blurred", "turned", "dark", "covered", "passing", "dim", "smeared"]

_PATCH_PX: Final = 320
_PATCH_FACES: Final = 2.2  # height of the patch in heights of the face
_NOISE: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the person is seen at one moment.

    Attributes:
        at_s: time in the clip.
        face_px: height of the face.
        x: centre of the face as a fraction of the view.
        y: likewise.
        blur: standard deviation of the blur, in heights of the face.
        turn: degrees around the upright axis.
        gain: factor of the light.
        cover: part of the face, from below or the side, that something stands before.
    """

    at_s: float
    face_px: float = 110.0
    x: float = 0.5
    y: float = 0.45
    blur: float = 0.0
    turn: float = 0.0
    gain: float = 1.0
    cover: float = 0.0


STORIES: Final[Mapping[Story, Sequence[Pose]]] = {
    # comes nearer from far away
    "small": (
        Pose(at_s=0.0, face_px=24, x=0.3, y=0.3),
        Pose(at_s=2.6, face_px=46, x=0.4, y=0.35),
        Pose(at_s=3.4, face_px=112),
        Pose(at_s=4.4, face_px=118, x=0.55),
        Pose(at_s=4.8, face_px=60, x=0.8, blur=0.05),
    ),
    # the focus, or the legs, are too quick but for a second
    "blurred": (
        Pose(at_s=0.0, x=0.15, blur=0.1),
        Pose(at_s=2.4, x=0.45, blur=0.05),
        Pose(at_s=2.8, x=0.5),
        Pose(at_s=3.8, x=0.55),
        Pose(at_s=4.4, x=0.85, blur=0.1),
    ),
    # looks aside, looks up once
    "turned": (
        Pose(at_s=0.0, x=0.3, turn=66),
        Pose(at_s=2.4, x=0.42, turn=52),
        Pose(at_s=2.9, x=0.48),
        Pose(at_s=3.9, x=0.53),
        Pose(at_s=4.5, x=0.6, turn=-60),
    ),
    # steps into the light
    "dark": (
        Pose(at_s=0.0, x=0.3, gain=0.08),
        Pose(at_s=2.4, x=0.42, gain=0.16),
        Pose(at_s=2.9, x=0.48),
        Pose(at_s=3.9, x=0.53),
        Pose(at_s=4.5, x=0.6, gain=0.1),
    ),
    # a hand, a scarf, somebody's shoulder
    "covered": (
        Pose(at_s=0.0, x=0.35, cover=0.55),
        Pose(at_s=2.4, x=0.45, cover=0.45),
        Pose(at_s=2.8, x=0.48),
        Pose(at_s=3.8, x=0.53),
        Pose(at_s=4.4, x=0.6, cover=0.55),
    ),
    # all of it: through the room from side to side
    "passing": (
        Pose(at_s=0.0, x=0.05, face_px=44, blur=0.06, gain=0.3, turn=40),
        Pose(at_s=2.0, x=0.35, face_px=62, blur=0.07, gain=0.5, turn=45),
        Pose(at_s=2.7, x=0.47, face_px=96),
        Pose(at_s=3.7, x=0.58, face_px=104),
        Pose(at_s=4.6, x=1.0, face_px=90, blur=0.12, turn=-50),
    ),
}


UNSEEN: Final[Mapping[Story, Sequence[Pose]]] = {
    # never in the light
    "dim": (Pose(at_s=0.0, x=0.3, gain=0.12), Pose(at_s=3.0, x=0.6, gain=0.12)),
    # never in focus
    "smeared": (Pose(at_s=0.0, x=0.3, blur=0.07), Pose(at_s=3.0, x=0.6, blur=0.07)),
}
"""Without a good look: somebody was there, and nobody can say who."""


def paint(portrait: Portrait, story: Story, *, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the (h, w, 3) uint8 RGB frames of a story, FPS a second."""
    rng = np.random.default_rng(seed)
    room, patch, mask = _room(rng), *_cut_out(portrait)
    from_side = bool(rng.integers(2))
    mirrored = bool(rng.integers(2))  # who comes from the right crosses to the left
    poses = UNSEEN[story] if story in UNSEEN else STORIES[story]
    for number in range(round(poses[-1].at_s * FPS) + 1):
        pose = _pose_at(poses, number / FPS)
        seen = _seen(_roomward(room, number), patch, mask, pose, mirrored=mirrored)
        if pose.cover > 0:
            _stand_before(seen, pose, from_side=from_side, mirrored=mirrored)
        noise = rng.normal(0.0, _NOISE, (*seen.shape[:2], 1)).astype(np.float32)
        yield np.clip(seen.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def _pose_at(poses: Sequence[Pose], at_s: float) -> Pose:
    times = [pose.at_s for pose in poses]
    return Pose(
        **{
            name: float(np.interp(at_s, times, [getattr(pose, name) for pose in poses]))
            for name in (field.name for field in fields(Pose))
        }
    )


def _room(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a wide textured background without anything that looks like a face."""
    width, height = SIZE[0] + 200, SIZE[1]
    picture = np.full((height, width, 3), rng.uniform(90, 150, 3), np.float32)
    for cells in (9, 40):
        relief = rng.normal(0.0, 14.0, (cells, cells * 2, 3)).astype(np.float32)
        picture += cv2.resize(relief, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):  # shelves and doors
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = tuple(float(value) for value in rng.uniform(40, 200, 3))
        cv2.rectangle(picture, (x, y), (x + 60, y + 160), colour, -1)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _roomward(room: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    left = round(100 + 60 * math.sin(number / 12))
    return room[:, left : left + SIZE[0]].copy()


def _cut_out(portrait: Portrait) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the square around a face, _PATCH_PX a side, and how opaque each pixel is."""
    x1, y1, x2, y2 = (float(value) for value in portrait.face.box)
    scale = _PATCH_PX / (_PATCH_FACES * (y2 - y1))
    half = _PATCH_PX / 2
    place = np.array(
        [[scale, 0, half - scale * (x1 + x2) / 2], [0, scale, half - scale * (y1 + y2) / 2]]
    )
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    source = portrait.picture
    if scale < 1:  # warpAffine alone would alias
        small = (round(source.shape[1] * scale), round(source.shape[0] * scale))
        source = np.asarray(cv2.resize(source, small, interpolation=flags), np.uint8)
        place[:, :2] = np.eye(2)
    patch = cv2.warpAffine(source, place, (_PATCH_PX, _PATCH_PX), borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((_PATCH_PX, _PATCH_PX), np.float32)
    centre = (_PATCH_PX // 2, round(_PATCH_PX * 0.5))
    cv2.ellipse(mask, centre, (round(half * 0.72), round(half * 0.86)), 0, 0, 360, 1.0, -1)
    return np.asarray(patch, np.uint8), np.asarray(cv2.GaussianBlur(mask, (0, 0), 7), np.float32)


def _seen(
    view: NDArray[np.uint8],
    patch: NDArray[np.uint8],
    mask: NDArray[np.float32],
    pose: Pose,
    *,
    mirrored: bool,
) -> NDArray[np.uint8]:
    """Return the view with the person in it."""
    matrix = _homography(pose, mirrored=mirrored)
    # shrink with the right filter first: sampling single pixels would alias
    shrink = pose.face_px * _PATCH_FACES / _PATCH_PX
    sigma = max(0.0, 0.45 / shrink - 0.45)
    source = cv2.GaussianBlur(patch, (0, 0), sigma) if sigma > 0.3 else patch
    person = cv2.warpPerspective(source, matrix, SIZE).astype(np.float32)
    alpha = cv2.warpPerspective(mask, matrix, SIZE)[:, :, None]
    seen: NDArray[np.floating] = (person * alpha + view * (1 - alpha)) * pose.gain
    if pose.blur * pose.face_px > 0.3:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), pose.blur * pose.face_px), np.float32)
    return np.asarray(np.clip(seen, 0, 255), np.uint8)


def _homography(pose: Pose, *, mirrored: bool) -> NDArray[np.float64]:
    """Return the map of the patch, turned around its upright axis, into the view."""
    half, turn = _PATCH_PX / 2, math.radians(pose.turn)
    scale, distance = pose.face_px * _PATCH_FACES / _PATCH_PX, 4.0 * half
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    depth = distance / (distance + corners[:, 0] * math.sin(turn))
    x = _across(pose, mirrored=mirrored) + scale * corners[:, 0] * math.cos(turn) * depth
    y = pose.y * SIZE[1] + scale * corners[:, 1] * depth
    source = (corners + half).astype(np.float32)
    target = np.stack([x, y], axis=1).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, target), np.float64)


def _across(pose: Pose, *, mirrored: bool) -> float:
    return (1 - pose.x if mirrored else pose.x) * SIZE[0]


def _stand_before(view: NDArray[np.uint8], pose: Pose, *, from_side: bool, mirrored: bool) -> None:
    """Cover a part of the face with something plain, in place."""
    x, y, side = _across(pose, mirrored=mirrored), pose.y * SIZE[1], pose.face_px
    left, top, right, bottom = x - side * 0.6, y - side * 0.65, x + side * 0.6, y + side * 0.65
    if from_side:
        right = left + (right - left) * pose.cover
    else:
        top = bottom - (bottom - top) * pose.cover
    low, high = (round(left), round(top)), (round(right), round(bottom))
    cv2.rectangle(view, low, high, (96, 74, 60), -1)
