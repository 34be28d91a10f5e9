"""The processor time of processes and of their threads, by what they are called."""

from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time that living processes have taken."""
    return sum(_of(process) for process in processes)


def thread_cpu_s(processes: Iterable[psutil.Process]) -> dict[str, float]:
    """Return the processor time of living threads by name; empty where there are no names."""
    spent: dict[str, float] = {}
    for process in processes:
        try:
            threads = process.threads()
        except psutil.Error:
            continue
        for thread in threads:
            name = Path(f"/proc/{process.pid}/task/{thread.id}/comm")
            try:
                called = name.read_text().strip()
            except OSError:
                continue  # it ended, or this is no Linux
            spent[called] = spent.get(called, 0.0) + thread.user_time + thread.system_time
    return spent


def resident_mb(processes: Iterable[psutil.Process]) -> float:
    """Return the resident memory of living processes in MiB."""
    total = 0.0
    for process in processes:
        try:
            total += process.memory_info().rss / 2**20
        except psutil.Error:
            continue
    return total


def _of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
