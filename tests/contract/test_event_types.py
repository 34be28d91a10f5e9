"""The types of events that webhooks may ask for are those that the control plane appends."""

import ast
from collections.abc import Iterator
from pathlib import Path

import control_plane
from control_plane.events import types
from control_plane.events.types import EVENT_TYPES, INTERNAL_PREFIX


def told() -> Iterator[str]:
    """Return the text of every literal that is handed to a function that appends events."""
    for file in Path(control_plane.__file__).parent.rglob("*.py"):
        source = file.read_text()
        if "append" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name not in {"append_event", "_append"}:
                continue
            for part in (part for given in node.args for part in ast.walk(given)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def observed() -> set[str]:
    """Return the types that ``runtime/store.py`` makes of what it observes."""
    source = (Path(control_plane.__file__).parent / "runtime" / "model.py").read_text()
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("worker.")
        and " " not in node.value
    }


def test_every_event_that_is_appended_has_its_type_in_the_list() -> None:
    assert observed()
    assert set(told()) | observed() == set(EVENT_TYPES)


def test_no_event_of_this_room_alone_is_in_the_list() -> None:
    internal = [value for value in vars(types).values() if str(value).startswith(INTERNAL_PREFIX)]
    assert len(internal) > 3
    assert not set(internal) & set(EVENT_TYPES)
    assert list(EVENT_TYPES) == sorted(set(EVENT_TYPES))
