"""The lines of the log, and that nothing gets into them that must not."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import Any

import pytest
import structlog

from junto.core.secret import Secret
from junto.telemetry.logging import configure

pytestmark = pytest.mark.usefixtures("logging_restored")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def break_with(message: str) -> None:
    body = "THE " * (len(message) > 0) + "PROMPT"  # a value, which must not be shown, unlike source code
    raise ValueError(message if body else "")


def test_an_event_is_one_json_line_with_time_level_and_event_first() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger("junto.somewhere").info("backend_up", backend="desk", took=1.5)
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "backend", "took"]
    assert (line["level"], line["event"], line["backend"], line["took"]) == ("info", "backend_up", "desk", 1.5)
    assert dt.datetime.fromisoformat(line["timestamp"]).utcoffset() == dt.timedelta(0)


def test_events_below_the_level_are_not_written_and_the_level_can_change_later() -> None:
    stream = io.StringIO()
    log = structlog.get_logger()
    configure("warning", stream=stream)
    log.info("no")
    log.warning("yes")
    configure("debug", stream=stream)
    log.debug("yes")
    assert [line["event"] for line in lines(stream)] == ["yes", "yes"]


def test_the_servers_lines_get_the_same_form() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7, extra={"color_message": "x"})
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "logger"]
    assert (line["level"], line["event"], line["logger"]) == ("info", "Started server process [7]", "uvicorn.error")


def test_the_servers_access_lines_are_off() -> None:
    stream = io.StringIO()
    configure("debug", stream=stream)
    logging.getLogger("uvicorn.access").error("GET / 200")
    assert stream.getvalue() == ""


def test_libraries_are_heard_from_warnings_up_even_at_debug() -> None:
    stream = io.StringIO()
    configure("debug", stream=stream)
    logging.getLogger("aiosqlite").debug("executing INSERT with the prompt")
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("asyncio").warning("slow")
    assert [line["event"] for line in lines(stream)] == ["slow"]


def test_warnings_of_python_are_lines_too() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logging.getLogger("py.warnings").warning("deprecated")
    assert lines(stream)[0]["logger"] == "py.warnings"


def test_a_traceback_is_one_field_and_shows_no_values_of_variables() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    try:
        break_with("it broke")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncio").exception("failed there")
    own, foreign = lines(stream)
    assert "ValueError: it broke" in own["exception"]
    assert "ValueError: it broke" in foreign["exception"]
    assert "THE PROMPT" not in stream.getvalue()


def test_secrets_are_masked_in_own_and_in_libraries_lines() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    secret = "sk-" + "0123456789abcdef"
    structlog.get_logger().info("call", key=Secret(secret), headers={"Authorization": secret})
    logging.getLogger("some.library").error("sent Authorization: Bearer %s", secret)
    try:
        break_with(f"{secret} was refused")
    except ValueError:
        structlog.get_logger().exception("refused")
    assert secret not in stream.getvalue()
    assert len(lines(stream)) == 3


def test_whatever_a_value_is_the_line_is_json() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger().info("odd", thing=object(), text="\ud800 \n \x1b", data=b"\xff", keys={(1, 2): 3, "a": 4})
    (line,) = lines(stream)
    assert line["keys"] == {"a": 4}
    assert line["text"] == "\ud800 \n \x1b"


def test_text_for_people_has_no_colours_outside_a_terminal_and_no_forged_lines() -> None:
    stream = io.StringIO()
    configure(format="text", stream=stream)
    structlog.get_logger().info("odd", model="x\n2026-01-01 [error] forged\x1b[31m")
    logging.getLogger("asyncio").error("also\nhere")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_text_for_people_shows_tracebacks_without_values_of_variables() -> None:
    stream = io.StringIO()
    configure(format="text", stream=stream)
    try:
        break_with("it broke")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: it broke" in stream.getvalue()
    assert "THE PROMPT" not in stream.getvalue()


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_log_that_cannot_be_written_fails_nobody(format: Any) -> None:
    stream = io.StringIO()
    configure(format=format, stream=stream)
    stream.close()
    structlog.get_logger().error("unheard")
    logging.getLogger("uvicorn.error").error("unheard")
