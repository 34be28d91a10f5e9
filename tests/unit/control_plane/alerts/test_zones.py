"""Zones of a camera and the faces in them."""

from control_plane.alerts.zones import centre_of, zones_with

SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]


def test_the_zones_of_a_camera_by_name() -> None:
    corners = [list(corner) for corner in SQUARE]
    config = {
        "zones": [
            {"name": "hall", "kind": "area", "polygon": corners},
            {"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]},
            {"name": "line", "polygon": [[0, 0], [1, 1]]},
            {"name": "", "polygon": corners},
            {"name": "odd", "polygon": [[0, 0], [1, "a"], [1, 1]]},
            {"name": "flat", "polygon": [[0, 0], [True, 0], [1, 1]]},
        ]
    }
    centre = centre_of({"x": 0.4, "y": 0.4, "width": 0.2, "height": 0.2})
    assert zones_with(centre, config) == {"hall", "all"}
    assert zones_with((0.1, 0.1), config) == {"all"}
    assert zones_with((0.1, 0.1), {}) == frozenset()
