"""Prints how a command failed: what, why, what to do and the request's id, for people or as JSON.

The one place that turns a failure into text, all of it on standard error. `cli.__main__` calls it.
"""

import json

import typer

from cli.failures import CommandFailed, ExitCode
from cli.talk import Talk

_USAGE_REMEDY = "Look at --help of the command."


class FailureReport:
    """Tells failures.

    Args:
        talk: where to.
        as_json: whether a program reads it: one line with one JSON object.
    """

    def __init__(self, talk: Talk, *, as_json: bool) -> None:
        self._talk = talk
        self._as_json = as_json

    def failed(self, failure: CommandFailed) -> ExitCode:
        """Tell why a command could not do its work; returns its exit code."""
        if self._as_json:
            self._object(
                failure.code, failure.what, failure.why, failure.remedy, failure.request_id
            )
            return failure.code
        self._talk.say(failure.what, "error")
        for title, text in (
            ("why", failure.why),
            ("do", failure.remedy),
            ("request", failure.request_id),
        ):
            for line in text.splitlines():
                self._talk.say(f"  {title + ':':<9}{line}")
        return failure.code

    def usage(self, wrong: typer.TyperException) -> int:
        """Tell what is wrong with a command line; returns the exit code."""
        code = int(getattr(wrong, "exit_code", ExitCode.USAGE))
        told = getattr(wrong, "format_message", lambda: str(wrong))()
        if self._as_json:
            self._object(ExitCode(code), told, "", _USAGE_REMEDY, "")
            return code
        from typer import rich_utils

        rich_utils.rich_format_error(wrong)  # type: ignore[arg-type]  # every error of a command line is a ClickException
        return code

    def _object(self, code: ExitCode, what: str, why: str, remedy: str, request_id: str) -> None:
        error = {
            "code": code.name.lower(),
            "exit_code": code.value,
            "what": what,
            "why": why,
            "what_to_do": remedy,
            "request_id": request_id,
        }
        self._talk.say(json.dumps({"error": error}, ensure_ascii=False))
