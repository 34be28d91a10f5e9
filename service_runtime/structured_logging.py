"""One log pipeline: JSON lines on standard error, a constant event name, values as keys.

The call that is being handled is named with ``name_call``. Every text value passes
``redact_text`` on its way out, because libraries put URLs with passwords into their messages.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, cast

import structlog

from service_runtime.redaction import redact_text

LEVELS = ("debug", "info", "warning", "error")
_DEEPEST = 6
# one variable for all of it, and set whole: this happens for every call, logged or not
_call: Final[ContextVar[Mapping[str, str]]] = ContextVar("dfip_call_logged")


def configure_logging(room: str, level: str = "info") -> None:
    """Set up logging for a process; call it once, first."""
    number = getattr(logging, level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            _tell_call,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_room(room),
            # no locals: they hold frames, embeddings and credentials
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            redact_event,
            structlog.processors.JSONRenderer(default=repr),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # standard error as it is at the time, because test runners and daemons replace it
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        handlers=[_ForeignRecords()], level=max(number, logging.WARNING), force=True
    )
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger; ``name`` is the module's ``__name__``."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(module=name))


def name_call(**values: str) -> None:
    """Have these values in every line that this task logs from now on, and no earlier ones."""
    _call.set(values)


def redact_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Processor: take credentials out of every text in the event."""
    return {key: _redact(value, _DEEPEST) for key, value in event.items()}


def _redact(value: object, depth: int) -> object:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > 0 and isinstance(value, dict):
        return {str(key): _redact(item, depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, list | tuple):
        return [_redact(item, depth - 1) for item in value]
    return redact_text(repr(value))


def _tell_call(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in _call.get(MappingProxyType({})).items():
        event.setdefault(name, value)
    return event


def _name_room(room: str) -> structlog.typing.Processor:
    def add(
        _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["room"] = room
        return event

    return add


class _ForeignRecords(logging.Handler):
    """Sends what libraries log through the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        values: dict[str, Any] = {"logger": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            values["exception_type"] = record.exc_info[0].__name__
            values["exc_info"] = record.exc_info
        log = structlog.get_logger()
        log.log(record.levelno, "library.message", **values)
