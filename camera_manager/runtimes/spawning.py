"""Starts a worker's process: own session, folder and log, no more of the manager than it needs."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from camera_manager.runtimes.worker_log import open_log


class Spawner:
    """Starts worker processes.

    Args:
        command: What a worker runs, such as ``[sys.executable, "-m", "vision_worker"]``.
        environment: What every worker gets.
        lifeline_fd: Read end of the site's lifeline, handed on to each worker.
        log_max_bytes: Bound of each of a worker's two log files.
    """

    def __init__(
        self,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        lifeline_fd: int | None,
        log_max_bytes: int,
    ) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._lifeline_fd = lifeline_fd
        self._log_max_bytes = log_max_bytes

    def spawn(
        self, folder: Path, *, socket: Path, extra: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Start a process in a folder that is there.

        Raises:
            OSError: No process can be had, or the log cannot be written.
        """
        environment = {**self._environment, **extra, "DFIP_LISTEN": f"unix:{socket}"}
        handed_on: tuple[int, ...] = ()
        if self._lifeline_fd is not None:
            environment["DFIP_LIFELINE_FD"] = str(self._lifeline_fd)
            handed_on = (self._lifeline_fd,)
        with open_log(folder, max_bytes=self._log_max_bytes) as log:
            return subprocess.Popen(  # noqa: S603 the command is this program's own
                self._command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=handed_on,
            )
