"""The log: one JSON object a line, of numbers, and of strings only under names that can't hold personal data."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, BinaryIO, Final

import orjson
import structlog

CORRELATION: Final[ContextVar[str | None]] = ContextVar("correlation", default=None)

# Under any other name a string is withheld. Add a name only if no value under it can be, or hold, a person's.
NAMES: Final = frozenset(
    """event at level logger template correlation tenant method route status error where caused_by
    view generation partition kafka directory command_kind event_kind reason_kind role state version mode""".split()  # noqa: SIM905
)
WITHHELD: Final = "withheld"


def configure(stream: BinaryIO | None = None, level: str = "info") -> None:
    """Send everything that is logged, also by libraries, to `stream` (default: standard error)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _correlate,
            _tell_failure,
            _withhold,
            structlog.processors.JSONRenderer(serializer=_serialize),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(stream or sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[_FromLibraries()], force=True)
    # Uvicorn's access log has addresses and queries in it.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class _FromLibraries(logging.Handler):
    """A library's line: its message before the arguments are put in, because those may be anyone's data."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        failure = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            level, "a library says", logger=record.name, template=_template(record), exc_info=failure
        )


def _template(record: logging.LogRecord) -> str:
    """The message only if it takes arguments: without any, values may be written into it already."""
    place = f"{record.module}:{record.funcName}:{record.lineno}"
    return f"{record.msg} ({place})" if record.args and isinstance(record.msg, str) else place


def _correlate(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (correlation := CORRELATION.get()) is not None:
        line.setdefault("correlation", correlation)
    return line


def _tell_failure(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by what was raised and where; messages are left out, because they quote values."""
    failure = line.pop("exc_info", None)
    if failure is True:
        failure = sys.exc_info()[1]
    if isinstance(failure, BaseException):
        line.update(failure_of(failure))
    return line


def failure_of(failure: BaseException) -> dict[str, Any]:
    """The type of an exception, the functions and lines it came through, and the types that caused it."""
    told: dict[str, Any] = {"error": _type_of(failure), "where": list(_places(failure.__traceback__))}
    if causes := [_type_of(cause) for cause in _causes(failure)]:
        told["caused_by"] = causes
    return told


def _causes(failure: BaseException) -> Iterator[BaseException]:
    seen = {id(failure)}
    cause = failure.__cause__ or failure.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _places(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        frame = traceback.tb_frame
        yield f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next


def _type_of(failure: BaseException) -> str:
    return f"{type(failure).__module__}.{type(failure).__qualname__}"


def _withhold(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in line.items():
        if name not in NAMES and not isinstance(value, int | float | None):
            line[name] = WITHHELD
    return line


def _serialize(line: Any, **_: Any) -> bytes:
    return orjson.dumps(line, default=lambda value: WITHHELD, option=orjson.OPT_NON_STR_KEYS)
