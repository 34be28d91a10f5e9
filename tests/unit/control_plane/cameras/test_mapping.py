"""JSON objects of requests, which may be as large as a request."""

import json
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from control_plane.cameras.mapping import checked_json
from service_runtime.errors import InvalidArgument

_LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
_ROWS = st.lists(_LEAVES, max_size=20) | st.dictionaries(st.text(max_size=2), _LEAVES, max_size=20)


def message(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


@given(value=st.dictionaries(st.text(max_size=2), _LEAVES | _ROWS | st.lists(_ROWS), max_size=5))
@example(value={"": [0] * 20_000})
@example(value={"": [[]] * 20_000})
@example(value={str(number): 0 for number in range(5_000)})
def test_no_message_is_too_large_for_what_is_small_enough_as_json(value: dict[str, Any]) -> None:
    size = len(json.dumps(value, ensure_ascii=False).encode())
    assert checked_json("metadata", message(value), max_bytes=size) == value


def test_what_cannot_be_small_enough_is_not_even_read() -> None:
    deep: dict[str, Any] = {"large": "x" * 5_000}
    for _ in range(20):
        deep = {"a": deep}
    with pytest.raises(InvalidArgument, match="16 deep"):
        checked_json("metadata", message(deep), max_bytes=2_000)
    with pytest.raises(InvalidArgument, match="1 KiB"):
        checked_json("metadata", message(deep), max_bytes=1_024)
