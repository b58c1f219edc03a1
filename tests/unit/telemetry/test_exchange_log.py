"""One line per exchange, without content, written in batches."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from junto.core.exchange import Outcome
from junto.telemetry.logging import ExchangeLog
from tests.unit.telemetry.records import REFUSED, attempt, record

pytestmark = pytest.mark.anyio


class Stream(io.StringIO):
    """Counts how often it was written to, and tells."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        self.written.set()
        return super().write(text)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


async def test_the_line_says_who_asked_what_who_answered_and_what_it_came_to() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream)
    log.exchange_ended(record(attempts=(attempt("rack", "timeout"), attempt("desk"))))
    log.close()
    assert stream.lines == [
        {
            "timestamp": "2025-11-21T03:59:25.923000Z",
            "level": "info",
            "event": "exchange",
            "id": "req_1",
            "client": "anonymous",
            "wire": "openai.chat",
            "requested_model": "fast",
            "model": "llama3.2:3b",
            "backend": "desk",
            "sensitivity": "internal",
            "outcome": "ok",
            "status": 200,
            "error_code": "",
            "stream": True,
            "input_tokens": 12,
            "cache_read_tokens": 7,
            "cache_write_tokens": 5,
            "output_tokens": 3,
            "cost_nano": 1250000,
            "ttft_ms": 120,
            "duration_ms": 800,
            "attempts": 2,
            "failures": ["rack/llama3.2:3b: timeout"],
        }
    ]
    assert list(stream.lines[0])[:3] == ["timestamp", "level", "event"]


@pytest.mark.parametrize("format", ["json", "text"])
async def test_content_is_never_in_it(format: Any) -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, format=format)
    log.exchange_ended(record())
    log.close()
    assert "req_1" in stream.getvalue()
    assert "WHAT THE" not in stream.getvalue()


async def test_what_the_caller_called_the_model_is_cut() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream)
    log.exchange_ended(record(requested_model="x" * 5000))
    log.close()
    assert stream.lines[0]["requested_model"] == "x" * 200


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\ud800", '"}{"', "模型"])
async def test_an_odd_name_breaks_no_line(format: Any, name: str) -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, format=format)
    for _ in range(2):
        log.exchange_ended(record(requested_model=name))
    log.close()
    assert len(stream.getvalue().split("\n")) == 3
    assert "\x1b" not in stream.getvalue()
    if format == "json":
        assert [line["requested_model"] for line in stream.lines] == [name, name]


async def test_lines_are_written_by_and_by_without_anybody_asking() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, interval=0)
    for _ in range(5):
        log.exchange_ended(record())
    assert stream.writes == 0
    await stream.written.wait()
    assert (stream.writes, len(stream.lines)) == (1, 5)
    stream.written.clear()
    log.exchange_ended(record())
    await stream.written.wait()
    assert (stream.writes, len(stream.lines)) == (2, 6)
    log.close()


async def test_a_batch_is_bounded_and_the_next_one_follows() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, interval=0, batch=2)
    for number in range(5):
        log.exchange_ended(record(id=f"req_{number}"))
    while len(stream.lines) < 5:
        stream.written.clear()
        await stream.written.wait()
    assert stream.writes == 3
    assert [line["id"] for line in stream.lines] == [f"req_{number}" for number in range(5)]
    log.close()


async def test_lines_beyond_the_limit_are_dropped_and_counted() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, limit=3)
    for _ in range(5):
        log.exchange_ended(record())
    with capture_logs() as logs:
        log.flush()
        log.exchange_ended(record())
        log.close()
    assert len(stream.lines) == 4
    assert logs == [{"event": "exchange_lines_dropped", "log_level": "warning", "count": 2}]


async def test_closing_writes_what_is_left_and_may_be_done_twice() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream, interval=3600)
    log.exchange_ended(record())
    log.close()
    log.close()
    assert len(stream.lines) == 1


async def test_an_exchange_that_nobody_answered_has_a_line_too() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream)
    log.exchange_ended(record(**REFUSED))
    log.exchange_ended(record(**{**REFUSED, "outcome": Outcome.CANCELLED, "status": 499}))
    log.close()
    assert [(line["outcome"], line["status"], line["backend"]) for line in stream.lines] == [
        ("error", 503, ""),
        ("cancelled", 499, ""),
    ]


async def test_a_closed_stream_fails_nobody() -> None:
    stream = Stream()
    log = ExchangeLog(stream=stream)
    stream.close()
    log.exchange_ended(record())
    log.close()


async def test_a_breaker_that_opens_is_a_warning_and_one_that_closes_is_not() -> None:
    log = ExchangeLog(stream=Stream())
    with capture_logs() as logs:
        log.breaker_changed(backend="desk", model="m", state="open")
        log.breaker_changed(backend="desk", model="m", state="closed")
        log.attempt_ended(backend="desk", model="m", failure="timeout", retried=False)
    assert [(line["state"], line["log_level"]) for line in logs] == [("open", "warning"), ("closed", "info")]
