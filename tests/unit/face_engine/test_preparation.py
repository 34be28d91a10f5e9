"""A pack is made once, whole or not at all, and from nothing but the pinned files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from face_engine.errors import PackFileCorrupt, PackNotPrepared, PackUnknown
from face_engine.model_files import cache_root, model_dirs, pack_folder
from face_engine.packs import resolve_pack
from face_engine.preparation import PreparedPack, is_prepared, load_models, prepare_pack
from tests.support.media import media_path

YUNET = "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def made(cache: Path) -> tuple[PreparedPack, list[tuple[str, float]]]:
    steps: list[tuple[str, float]] = []
    prepared = prepare_pack(
        "builtin", progress=lambda step, part: steps.append((step, part)), folders=[], cache=cache
    )
    return prepared, steps


def test_progress_rises_to_one(made: tuple[PreparedPack, list[tuple[str, float]]]) -> None:
    _, steps = made
    fractions = [fraction for _, fraction in steps]
    assert fractions == sorted(fractions)
    assert steps[-1] == ("ready", 1.0)
    assert len(steps) == 5


def test_the_manifest_records_digests_and_licences(
    made: tuple[PreparedPack, list[tuple[str, float]]],
) -> None:
    content = json.loads((made[0].folder / "manifest.json").read_text())
    assert set(content["models"]) == {file.name for file in made[0].pack.files}
    assert {source["licence"] for source in content["sources"].values()} == {"MIT", "CC0-1.0"}


def test_the_second_time_nothing_is_made(
    made: tuple[PreparedPack, list[tuple[str, float]]], cache: Path
) -> None:
    steps: list[str] = []
    again = prepare_pack("builtin", progress=lambda step, _: steps.append(step), cache=cache)
    assert again == made[0]
    assert steps == ["ready"]
    assert is_prepared("builtin", cache=cache)


def test_models_come_back_with_their_content(
    made: tuple[PreparedPack, list[tuple[str, float]]], cache: Path
) -> None:
    models = load_models(made[0].pack, cache=cache)
    assert len(models["dlib_resnet.onnx"]) > 20_000_000


def test_a_damaged_model_is_named_and_made_again(
    made: tuple[PreparedPack, list[tuple[str, float]]], cache: Path
) -> None:
    model = made[0].folder / "mtcnn_pnet.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    assert not is_prepared("builtin", cache=cache)
    with pytest.raises(PackFileCorrupt, match=r"mtcnn_pnet\.onnx of pack builtin is damaged"):
        load_models(made[0].pack, cache=cache)
    prepare_pack("builtin", folders=[], cache=cache)
    assert is_prepared("builtin", cache=cache)
    load_models(made[0].pack, cache=cache)


def test_a_missing_pack_says_to_prepare_it(tmp_path: Path) -> None:
    with pytest.raises(PackNotPrepared, match="prepare it first"):
        load_models(resolve_pack("builtin"), cache=tmp_path)
    assert not is_prepared("builtin", cache=tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    folder = pack_folder(resolve_pack("builtin"), tmp_path)
    left = folder.parent / f"{folder.name}.x1y2.part"
    left.mkdir(parents=True)
    (left / "mtcnn_pnet.onnx").write_bytes(b"half")
    prepare_pack("builtin", folders=[], cache=tmp_path)
    assert not left.exists()
    assert sorted(entry.suffix for entry in folder.parent.iterdir()) == ["", ".lock"]


PREPARE = """
import sys
from pathlib import Path
from face_engine.preparation import prepare_pack
sys.stdin.readline()
steps = []
prepare_pack("builtin", progress=lambda step, _: steps.append(step), cache=Path(sys.argv[1]))
assert not {"mtcnn", "face_recognition_models", "tensorflow", "joblib"} & set(sys.modules)
print(len(steps))
"""


def test_two_processes_at_once_make_it_once_and_import_no_package(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    steps = sorted(process.communicate("go\n", timeout=60)[0].strip() for process in processes)
    assert steps == ["1", "5"]
    assert is_prepared("builtin", cache=tmp_path)


def test_a_file_nobody_has_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(PackNotPrepared, match="DFIP_MODEL_DIR") as caught:
        prepare_pack("yunet-dlib", folders=[], cache=tmp_path)
    sentence = str(caught.value)
    assert YUNET in sentence
    assert "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4" in sentence
    assert str(tmp_path / "sources") in sentence


def test_another_file_under_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / YUNET).write_bytes(b"not the model")
    with pytest.raises(PackFileCorrupt, match="not the pinned one"):
        prepare_pack("yunet-dlib", folders=[tmp_path], cache=tmp_path / "cache")


@pytest.mark.media
def test_a_file_in_the_cache_is_found(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / YUNET).write_bytes(media_path(f"models/{YUNET}").read_bytes())
    prepare_pack("yunet-dlib", folders=[], cache=tmp_path)
    assert is_prepared("yunet-dlib", cache=tmp_path)


@pytest.mark.media
def test_the_model_folder_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = media_path(f"models/{YUNET}").parent
    before = {entry: entry.stat().st_mtime_ns for entry in folder.iterdir()}
    monkeypatch.setenv("DFIP_MODEL_DIR", str(folder))
    monkeypatch.setenv("DFIP_CACHE_DIR", str(tmp_path))
    prepare_pack("yunet-dlib")
    assert is_prepared("yunet-dlib")
    assert {entry: entry.stat().st_mtime_ns for entry in folder.iterdir()} == before


def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PackNotPrepared, match=r"install PyPI mtcnn 1\.0\.0"):
        prepare_pack("builtin", folders=[], cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(PackNotPrepared, match="DFIP_CACHE_DIR"):
        prepare_pack("builtin", folders=[], cache=blocked)


def test_an_unknown_pack_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(PackUnknown):
        prepare_pack("best", cache=tmp_path)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DFIP_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == Path.home() / ".cache" / "dfip"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/dfip")
    monkeypatch.setenv("DFIP_CACHE_DIR", "/own")
    assert cache_root() == Path("/own")
    monkeypatch.setenv("DFIP_MODEL_DIR", f"/a{os.pathsep}/b")
    assert model_dirs() == (Path("/a"), Path("/b"))
