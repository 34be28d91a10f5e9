"""Path templates become matches that agree with the transcoder's own reading of them."""

import re

import pytest

from deploy.envoy.path_templates import path_match, specificity


@pytest.mark.parametrize("template", ["/cameras", "/events.ndjson", "/index:rebuild"])
def test_a_template_without_variables_is_matched_exactly(template: str) -> None:
    assert path_match(template) == {"path": template}


@pytest.mark.parametrize(
    ("template", "taken", "refused"),
    [
        (
            "/cameras/{camera_id}",
            ["/cameras/c1", "/cameras/caf%C3%A9", "/cameras/-"],
            ["/cameras/", "/cameras", "/cameras/c1/", "/cameras/c1/x", "/cameras/c1:retry"],
        ),
        (
            "/cameras/{camera_id}:retry",
            ["/cameras/c1:retry", "/cameras/a:b:retry"],
            ["/cameras/c1", "/cameras/c1:other", "/cameras/a/b:retry"],
        ),
        (
            "/persons/{person_id}/faces/{face_id}",
            ["/persons/p:1/faces/f1"],
            ["/persons/p1/faces", "/persons/p1/faces/f1/x", "/x/persons/p1/faces/f1"],
        ),
        ("/a.b/{x}", ["/a.b/1"], ["/aXb/1"]),
    ],
)
def test_variables_are_one_segment(template: str, taken: list[str], refused: list[str]) -> None:
    pattern = path_match(template)["safe_regex"]["regex"]
    assert [path for path in taken + refused if re.fullmatch(pattern, path)] == taken


@pytest.mark.parametrize("template", ["cameras", "/a/*", "/a/{x=b/*}", "/a/**", "/a//b", "/a/"])
def test_what_the_edge_cannot_route_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"template|cannot route"):
        path_match(template)


def test_the_special_stands_before_the_general() -> None:
    templates = ["/c/{id}", "/c/{id}/status", "/c/runtime", "/c/{id}:retry", "/c"]
    ordered = sorted(templates, key=specificity)
    assert ordered.index("/c/runtime") < ordered.index("/c/{id}")
    assert ordered.index("/c/{id}:retry") < ordered.index("/c/{id}")
