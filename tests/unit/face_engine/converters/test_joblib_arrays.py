"""Arrays come out of a joblib file; code never does."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from face_engine.converters.joblib_arrays import read_arrays
from face_engine.errors import PackFileCorrupt
from face_engine.model_files import read_source
from face_engine.packs import resolve_pack


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return pnet(tmp_path_factory.mktemp("empty"))


def pnet(empty: Path) -> bytes:
    return read_source(resolve_pack("builtin").files[0].source, folders=[], cache=empty)


def compressed(content: bytes) -> bytes:
    packed: bytes = lz4.frame.compress(content)
    return packed


class RunsACommand:
    """Pickles into a call of `os.system`."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self._command,)


class OpensAFile:
    """Pickles into a call of a class that is harmless by name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self._path), "w")


def test_the_arrays_of_the_proposal_network(weights: bytes) -> None:
    arrays = read_arrays(weights, "pnet.lz4")
    assert [array.shape for array in arrays[:3]] == [(3, 3, 3, 10), (10,), (1, 1, 10)]
    assert len(arrays) == 13


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for protocol in range(6):
        for attack in (RunsACommand(f"touch {trace}"), OpensAFile(trace)):
            hostile = compressed(pickle.dumps([attack], protocol=protocol))
            with pytest.raises(PackFileCorrupt, match="not a list of arrays"):
                read_arrays(hostile, "pnet.lz4")
    assert not trace.exists()


def test_the_attack_of_that_test_is_real(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = tmp_path / "attack.pickle"
    content.write_bytes(pickle.dumps([OpensAFile(trace)]))
    program = f"import pickle; pickle.load(open({str(content)!r}, 'rb'))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=30)
    assert trace.exists()


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], ["text"], "text", [[]], 7])
def test_anything_else_than_arrays_is_refused(content: object) -> None:
    with pytest.raises(PackFileCorrupt):
        read_arrays(compressed(pickle.dumps(content, protocol=4)), "pnet.lz4")


def test_a_bomb_is_refused() -> None:
    with pytest.raises(PackFileCorrupt, match="larger than a model"):
        read_arrays(compressed(b"\0" * 50_000_000), "pnet.lz4")


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.999])
def test_a_cut_off_file_is_refused(weights: bytes, fraction: float) -> None:
    with pytest.raises(PackFileCorrupt, match=r"pnet\.lz4"):
        read_arrays(weights[: int(len(weights) * fraction)], "pnet.lz4")


@settings(max_examples=150)
@given(data=st.data())
def test_changed_bytes_give_arrays_or_the_one_error(weights: bytes, data: st.DataObject) -> None:
    content = bytearray(lz4.frame.decompress(weights)[:6000])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 700))] = data.draw(st.integers(0, 255))
    with pytest.raises(PackFileCorrupt):  # it is cut off in any case
        read_arrays(compressed(bytes(content)), "pnet.lz4")


@given(st.binary(max_size=60))
def test_any_content_gives_the_one_error(content: bytes) -> None:
    with pytest.raises(PackFileCorrupt):
        read_arrays(compressed(b"\x80\x04" + content + b"K\x01."), "pnet.lz4")
