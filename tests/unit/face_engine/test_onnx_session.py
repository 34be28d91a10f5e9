"""A GPU that is asked for and absent is reported or refused; and nothing reports home."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from face_engine.engine import open_engine
from face_engine.errors import AcceleratorUnavailable
from face_engine.onnx_session import Accelerator
from face_engine.preparation import PreparedPack

without_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this ONNX Runtime has CUDA",
)


@without_cuda
def test_asked_for_and_absent_runs_on_the_cpu_and_says_why(builtin_pack: PreparedPack) -> None:
    with open_engine(builtin_pack.pack.pack_id, accelerator="cuda") as engine:
        assert engine.accelerator_used == "cpu"
        assert engine.accelerator_reason == "the installed ONNX Runtime has no CUDA support"


@without_cuda
def test_required_and_absent_does_not_start(builtin_pack: PreparedPack) -> None:
    asked: tuple[Accelerator, ...] = ("auto", "cuda")
    for accelerator in asked:
        with pytest.raises(AcceleratorUnavailable, match="no CUDA support"):
            open_engine(
                builtin_pack.pack.pack_id, accelerator=accelerator, accelerator_required=True
            )


def test_required_on_the_cpu_is_a_contradiction(builtin_pack: PreparedPack) -> None:
    with pytest.raises(AcceleratorUnavailable, match="asks for the CPU"):
        open_engine(builtin_pack.pack.pack_id, accelerator="cpu", accelerator_required=True)


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_the_cpu_needs_no_reason(builtin_pack: PreparedPack, accelerator: Accelerator) -> None:
    if accelerator == "auto" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with open_engine(builtin_pack.pack.pack_id, accelerator=accelerator) as engine:
        assert (engine.accelerator_used, engine.accelerator_reason) == ("cpu", None)


def test_the_runtime_reports_to_nobody(tmp_path: Path) -> None:
    # ONNX Runtime keeps quiet under CI by itself; what is tested is a machine of a user
    environ = {name: value for name, value in os.environ.items() if "CI" not in name.split("_")}
    environ |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environ["ORT_DISABLE_TELEMETRY"] = "0"
    subprocess.run(
        [sys.executable, "-c", "import face_engine.onnx_session"], env=environ, check=True
    )
    assert not list(tmp_path.rglob("*")), "it left its identifier or a queue of reports"
