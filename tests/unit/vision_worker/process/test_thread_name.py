"""Threads say what they do, where the system shows it."""

import sys
import threading
from pathlib import Path

import pytest

from vision_worker.process.thread_name import name_this_thread


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it this way")
def test_a_thread_has_its_name_cut_to_what_fits() -> None:
    seen: list[str] = []

    def work() -> None:
        name_this_thread("decode-the-entrance")
        number = threading.get_native_id()
        seen.append(Path(f"/proc/self/task/{number}/comm").read_text().strip())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["decode-the-entr"]
