"""The forms in which data can be printed, and how a caller asks for one.

Known before anything is parsed, because a command line that is wrong has to be told in the form
that it asked for. Loads nothing heavy: every command names its forms in its help.
"""

from collections.abc import Sequence
from enum import StrEnum

_SHORT, _LONG, _JSON = "-o", "--output", "--json"


class Form(StrEnum):
    """How data is printed.

    Attributes:
        TABLE: for people; on a terminal unless another is asked for.
        TSV: a line of tab-separated full values a thing; in a pipe unless another is asked for.
        JSON: one document.
        JSONL: one JSON value a line.
    """

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    TSV = "tsv"

    @property
    def is_json(self) -> bool:
        """Tell whether a program reads it as JSON."""
        return self in {Form.JSON, Form.JSONL}


def wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON, whatever else is right or wrong with it."""
    values = {form.value for form in Form if form.is_json}
    for word, after in zip(arguments, [*arguments, ""][1:], strict=True):
        if word == "--":
            return False
        if word == _JSON or (word in {_SHORT, _LONG} and after in values):
            return True
        if any(word in {f"{_SHORT}{value}", f"{_LONG}={value}"} for value in values):
            return True
    return False
