"""Logs: one JSON object a line on standard error, for Junto's own events, for libraries', and one line per exchange.

Owns the shape of lines and when they are written. Content of requests and answers never gets here, and nothing is written
between door and relay: lines of exchanges are gathered and written in batches.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

import msgspec
import structlog

from junto.telemetry.masking import escape_unprintable, mask_secrets
from junto.telemetry.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

    from junto.core.exchange import ExchangeRecord

type Level = Literal["debug", "info", "warning", "error"]
type Format = Literal["json", "text"]

_CALLER_TEXT_LIMIT = 200  # characters of a model name as the caller wrote it


def configure(level: Level = "info", format: Format = "json", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error); may be called again, as after a reload.

    Libraries are heard from warnings up whatever the level is: at debug some of them write down statements with their values.
    """
    sink = Sink(stream)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_stamped(), *_rendered(format, sink)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", sink)),
        cache_logger_on_first_use=False,  # the next call must see a new configuration
    )
    _route_libraries(threshold, format, sink)


def _route_libraries(threshold: int, format: Format, sink: Sink) -> None:
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_stamped()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendered(format, sink)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))
    server = logging.getLogger("uvicorn")
    server.setLevel(max(threshold, logging.INFO))
    for logger in (server, logging.getLogger("uvicorn.error")):
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # a line per exchange says more
    logging.captureWarnings(capture=True)


def _stamped() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # As plain text: other renderings of a traceback show the values of variables.
        structlog.processors.format_exc_info,
    ]


def _rendered(format: Format, sink: Sink) -> list[Processor]:
    if format == "json":
        return [mask_secrets, _in_order, structlog.processors.JSONRenderer(skipkeys=True, separators=(",", ":"))]
    return [mask_secrets, escape_unprintable, _for_people(sink)]


def _for_people(sink: Sink) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sink.is_terminal, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The same fields first in every line, so that a person can scan them."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


class ExchangeLine(msgspec.Struct, gc=False, omit_defaults=True):
    """What is written about one exchange. `attempts` is their number; times are milliseconds, `cost_nano` nano-dollars."""

    timestamp: dt.datetime  # its end
    level: str
    event: str
    id: str
    client: str
    wire: str
    requested_model: str
    model: str
    backend: str
    sensitivity: str
    outcome: str
    status: int
    error_code: str
    stream: bool
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_nano: int
    ttft_ms: int
    duration_ms: int
    attempts: int
    failures: tuple[str, ...] = ()  # of its attempts, in turn: deployment and kind; left out where there are none


def line_of(record: ExchangeRecord) -> ExchangeLine:
    """The line of that exchange."""
    attempts = record.attempts
    # By position: this runs for every exchange, and names would cost half as much again.
    return ExchangeLine(
        dt.datetime.fromtimestamp((record.started_ms + record.duration_ms) / 1000, dt.UTC),
        "info",
        "exchange",
        record.id,
        record.client,
        record.wire,
        record.requested_model[:_CALLER_TEXT_LIMIT],
        record.model,
        record.backend,
        record.sensitivity,
        record.outcome,
        record.status,
        record.error_code,
        record.stream,
        record.input_tokens,
        record.cache_read_tokens,
        record.cache_write_tokens,
        record.output_tokens,
        record.cost_nano,
        record.ttft_ms,
        record.duration_ms,
        len(attempts),
        tuple(f"{each.backend}/{each.model}: {each.failure}" for each in attempts if each.failure)
        if record.error_code or len(attempts) > 1
        else (),
    )


class ExchangeLog:
    """Writes one line per exchange, `interval` seconds later at most, in batches of at most `batch` lines.

    Implements ports.observer.Observer. At most `limit` lines wait; those beyond are dropped, and how many is logged.
    """

    def __init__(
        self,
        *,
        format: Format = "json",
        stream: TextIO | None = None,
        interval: float = 0.25,
        batch: int = 500,
        limit: int = 10_000,
    ) -> None:
        self._sink = Sink(stream)
        self._interval = interval
        self._batch = batch
        self._limit = limit
        self._waiting: list[ExchangeLine] = []
        self._timer: asyncio.Handle | None = None
        self._dropped = 0
        self._encoder = msgspec.json.Encoder()
        self._renderer = None if format == "json" else _for_people(self._sink)

    def exchange_ended(self, record: ExchangeRecord) -> None:
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._waiting.append(line_of(record))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_time)

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        """Attempts are counted in the line of their exchange."""

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        log = structlog.get_logger()
        (log.warning if state == "open" else log.info)("breaker_changed", backend=backend, model=model, state=state)

    def flush(self) -> None:
        """Write all lines that wait."""
        while self._waiting:
            self._write_batch()

    def close(self) -> None:
        """Write what is left and stop the timer; safe to call twice."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.flush()

    def _on_time(self) -> None:
        self._write_batch()
        # One batch at a time: between two of them others get their turn.
        self._timer = asyncio.get_running_loop().call_soon(self._on_time) if self._waiting else None

    def _write_batch(self) -> None:
        lines = self._waiting[: self._batch]
        del self._waiting[: self._batch]
        self._sink.write(self._text(lines))
        self._sink.flush()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            structlog.get_logger().warning("exchange_lines_dropped", count=dropped)

    def _text(self, lines: Sequence[ExchangeLine]) -> str:
        if self._renderer is None:
            try:
                return self._encoder.encode_lines(lines).decode()
            except UnicodeEncodeError:  # half of a surrogate pair in a name, which only ASCII can write down
                return "".join(f"{json.dumps(msgspec.to_builtins(line))}\n" for line in lines)
        return "".join(f"{self._renderer(None, 'info', _fields(line))}\n" for line in lines)


def _fields(line: ExchangeLine) -> dict[str, Any]:
    """The line as an event for people: without what is empty."""
    fields = {name: value for name, value in msgspec.structs.asdict(line).items() if value or name == "status"}
    fields["timestamp"] = line.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return dict(escape_unprintable(None, "", fields))
