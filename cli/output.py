"""How results are shown: a table on a terminal, tab-separated lines in a pipe, JSON on request.

A pipe gets full values, one record a line, without a heading or a box, so that `cut` and `awk` work
on it; a terminal gets what a person wants to see; `-o` overrules both. Data goes to standard output
and nothing else does. `cli.client.watching` prints what changes.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from cli.failures import ReaderGone
from cli.forms import Form

T = TypeVar("T")

_GAP = "  "
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[T]):
    """One column of a listing.

    Attributes:
        value: the full value, for pipes.
        shown: the value for people; by default the full one.
        aside: on a terminal too narrow for the whole row, put it on a line of its own below.
        restless: it changes all the time, which is no news to whoever watches.
    """

    title: str
    value: Callable[[T], str]
    shown: Callable[[T], str] | None = None
    aside: bool = False
    restless: bool = False

    def text(self, item: T) -> str:
        """Return what people see."""
        return (self.shown or self.value)(item) or "-"


class Output:
    """Prints results on standard output.

    Args:
        as_json: whether the caller asked for JSON by its short name.
        form: what the caller asked for; None is a table on a terminal, and else tab-separated.
    """

    def __init__(self, *, as_json: bool = False, form: Form | None = None) -> None:
        self._asked = form or (Form.JSON if as_json else None)

    @property
    def form(self) -> Form:
        """Return how things are printed."""
        return self._asked or (Form.TABLE if sys.stdout.isatty() else Form.TSV)

    @property
    def as_json(self) -> bool:
        """Tell whether a program reads it as JSON, and wants nothing beside."""
        return self.form.is_json

    def listing(
        self, items: Sequence[T], columns: Sequence[Column[T]], *, empty: str = "Nothing yet."
    ) -> None:
        """Print many things: a JSON array, a table, or a line each."""
        if self.form is Form.JSON:
            self._json([to_json(item) for item in items])
        elif self.form is not Form.TABLE:
            for item in items:
                self.line(item, columns)
        elif not items:
            _print(empty)
        else:
            _print_table(items, columns)

    def line(
        self,
        item: T,
        columns: Sequence[Column[T]],
        *,
        sentence: Callable[[T], str] | None = None,
    ) -> None:
        """Print one thing of a stream in one line: JSON, values, or a sentence for people."""
        if self.as_json:
            _print(json.dumps(to_json(item), ensure_ascii=False))
        elif sentence is not None and self.form is Form.TABLE:
            _print(sentence(item))
        else:
            _print("\t".join(column.value(item).translate(_ESCAPES) for column in columns))

    def record(self, item: T, columns: Sequence[Column[T]]) -> None:
        """Print one thing: a JSON object, a line of values, or `title: value` lines."""
        if self.form is Form.JSON:
            self._json(to_json(item))
        elif self.form is not Form.TABLE:
            self.line(item, columns)
        else:
            width = max(len(column.title) for column in columns) + 2
            for column in columns:
                _print(f"{column.title + ':':<{width}}{column.text(item)}")

    def text(self, text: str, value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
        """Print a piece of text; as JSON, the value instead."""
        if self.as_json:
            self._json(value)
        else:
            _print(text)

    def raw(self, text: str) -> None:
        """Print text as it is, without a new line."""
        _print(text, end="")

    def _json(self, value: object) -> None:
        indent = 2 if self.form is Form.JSON else None
        _print(json.dumps(value, indent=indent, ensure_ascii=False))


def to_json(item: object) -> object:
    """Return what JSON shows of a message: the contract's names, zero values included."""
    if isinstance(item, Message):
        return MessageToDict(
            item, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    return dataclasses.asdict(item) if is_dataclass(item) and not isinstance(item, type) else item


def _print(text: str, *, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)  # noqa: T201 - this is the place for it
    except BrokenPipeError:
        raise ReaderGone from None


def _print_table(items: Sequence[T], columns: Sequence[Column[T]]) -> None:
    """Print a table whose cells are never cut or broken, so that an id can be copied whole."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    def row(texts: Iterable[str]) -> str:
        cells = zip(texts, widths, strict=True)
        return _GAP.join(text + " " * (width - cell_len(text)) for text, width in cells).rstrip()

    console = Console(highlight=False, soft_wrap=True)
    inline = [c for c in columns if any(c.text(item) != "-" for item in items)]
    widths = [_widest(items, column, cell_len) for column in inline]
    aside: list[Column[T]] = []
    wide = sum(widths) + len(_GAP) * (len(widths) - 1)
    if sys.stdout.isatty() and wide > console.width:
        aside = [column for column in inline if column.aside]
        inline = [column for column in inline if not column.aside]
        widths = [_widest(items, column, cell_len) for column in inline]
    try:
        console.print(Text(row(column.title for column in inline), style="bold"))
        for item in items:
            console.print(Text(row(column.text(item) for column in inline)))
            if aside:
                below = _GAP.join(f"{column.title} {column.text(item)}" for column in aside)
                console.print(Text(f"{_GAP}{below}", style="dim"))
    except BrokenPipeError:
        raise ReaderGone from None


def _widest(items: Iterable[T], column: Column[T], length: Callable[[str], int]) -> int:
    return max(length(column.title), *(length(column.text(item)) for item in items))
