"""Stored exchanges as people read them: pages, one in full, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import update

from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.core.money import usd_from_nano
from junto.ports.stores import ExchangeQuery, ExchangeStore
from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.folding import answer_folder
from junto.storage.sessions import Sessions
from junto.storage.tables.exchanges import BODIES
from junto.storage.writer import ExchangeWriter

from .records import ANSWER, REQUEST, any_record, record, records
from .wires import LINES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path) as database:
        yield database


def reading(database: Database) -> ExchangeStore:
    return StoredExchanges(Sessions(database), fold_answer=answer_folder({"lines": LINES}), waiting=lambda: (3, 999))


async def stored(database: Database, *records: ExchangeRecord) -> ExchangeStore:
    await ExchangeWriter(Sessions(database)).store(records)
    return reading(database)


async def found(database: Database, exchange: ExchangeRecord) -> dict[str, Any]:
    exchanges = await stored(database, exchange)
    result = await exchanges.find(exchange.id)
    assert result is not None
    return result


def numbers(page: list[dict[str, Any]]) -> list[int]:
    return [row["started_ms"] for row in page]


async def test_pages_are_newest_first_and_continue_before_an_id(database: Database) -> None:
    exchanges = await stored(database, *records(3, 1, 5, 2, 4))
    first = await exchanges.page(ExchangeQuery(limit=2))
    assert numbers(first) == [5, 4]
    second = await exchanges.page(ExchangeQuery(limit=2, before=first[-1]["id"]))
    assert numbers(second) == [3, 2]
    assert numbers(await exchanges.page(ExchangeQuery(limit=2, before=second[-1]["id"]))) == [1]


async def test_a_page_is_never_longer_than_two_hundred(database: Database) -> None:
    exchanges = await stored(database, *records(*range(250)))
    assert len(await exchanges.page(ExchangeQuery(limit=10_000))) == 200
    assert len(await exchanges.page(ExchangeQuery(limit=-1))) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "qwen3:8b"),
        ("backend", "rack"),
        ("client", "billing"),
        ("sensitivity", "confidential"),
        ("outcome", "cancelled"),
    ],
)
async def test_pages_can_be_filtered(database: Database, field: str, value: str) -> None:
    changed: Any = Outcome(value) if field == "outcome" else value
    exchanges = await stored(database, *records(1, 3), record(2, **{field: changed}))
    filters: Any = {field: value}
    assert numbers(await exchanges.page(ExchangeQuery(**filters))) == [2]


async def test_pages_can_begin_at_a_time(database: Database) -> None:
    exchanges = await stored(database, *records(1, 2, 3))
    assert numbers(await exchanges.page(ExchangeQuery(since_ms=2))) == [3, 2]


async def test_a_page_shows_metadata_with_usage_cost_and_attempts_and_no_body(database: Database) -> None:
    attempts = (
        Attempted(backend="desk", model="a", failure="connect", milliseconds=5),
        Attempted(backend="rack", model="b"),
    )
    exchanges = await stored(database, record(1, cost_nano=1_234_567, attempts=attempts, cache_read_tokens=7))
    [row] = await exchanges.page(ExchangeQuery())
    assert row["cost_usd"] == "0.001234567"
    assert row["usage"] == {
        "input_tokens": 12,
        "cache_read_tokens": 7,
        "cache_write_tokens": 0,
        "output_tokens": 3,
        "reasoning_tokens": 0,
        "estimated": False,
    }
    assert [attempt.get("failure") for attempt in row["attempts"]] == ["connect", None]
    assert (row["request_bytes"], row["answer_bytes"]) == (len(REQUEST), len(ANSWER))
    assert b"France" not in msgspec.json.encode(row)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exchange=any_record)
async def test_any_record_is_found_as_it_was_recorded(database: Database, exchange: ExchangeRecord) -> None:
    async with database.writer.begin() as connection:
        for table in ("exchanges", "exchange_bodies"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")
    row = await found(database, exchange)
    names = set(ExchangeRecord.__struct_fields__) & set(row) - {"attempts"}
    assert len(names) > 20
    assert {name: row[name] for name in names} == {name: getattr(exchange, name) for name in names}
    assert msgspec.convert(row["attempts"], tuple[Attempted, ...]) == exchange.attempts
    assert row["cost_usd"] == usd_from_nano(exchange.cost_nano)
    assert row["usage"]["estimated"] == exchange.usage_estimated
    assert all(row["usage"][name] == getattr(exchange, name) for name in row["usage"] if name != "estimated")
    assert (row["request_bytes"], row["answer_bytes"]) == (len(exchange.request_body), len(exchange.answer_body))
    msgspec.json.encode(row)


async def test_a_stream_is_found_folded_into_text_and_thinking(database: Database) -> None:
    row = await found(
        database,
        record(1, answer_wire="lines", answer_stream=True, answer_body=b"?Well, \n?France.\nPar\nis.\n.\n"),
    )
    assert row["request"] == msgspec.json.decode(REQUEST)
    assert row["answer"] == {
        "text": "Paris.",
        "thinking": "Well, France.",
        "tool_calls": [],
        "finish_reason": "stop",
    }


async def test_a_stream_that_broke_off_shows_what_came_and_why_it_ended(database: Database) -> None:
    row = await found(database, record(1, answer_wire="lines", answer_stream=True, answer_body=b"Par\n"))
    assert row["answer"]["text"] == "Par"
    assert row["answer"]["failure"] == "reset"


async def test_a_whole_answer_is_found_with_its_tool_calls(database: Database) -> None:
    row = await found(database, record(1, answer_wire="lines", answer_body=b"Paris."))
    assert (row["answer"]["text"], row["answer"]["thinking"]) == ("Paris.", "hm")
    assert row["answer"]["tool_calls"] == [{"id": "call_1", "name": "look_up", "arguments": '{"q":1}'}]


async def test_embeddings_are_found_as_their_shape(database: Database) -> None:
    row = await found(database, record(1, answer_wire="lines", answer_body=b"[[1.0,2.0,3.0],[4.0,5.0,6.0]]"))
    assert row["answer"] == {"vectors": 2, "dimensions": 3}


@pytest.mark.parametrize(
    ("wire", "body", "raw"),
    [
        ("lines", b'{"error":"no"}', {"error": "no"}),
        ("unheard.of", b"plain words", "plain words"),
        ("unheard.of", b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
async def test_an_answer_that_cannot_be_folded_is_shown_as_it_is(
    database: Database, wire: str, body: bytes, raw: object
) -> None:
    row = await found(database, record(1, answer_wire=wire, answer_body=body))
    assert row["answer"] == {"raw": raw}


async def test_a_request_that_is_not_json_is_shown_as_text(database: Database) -> None:
    row = await found(database, record(1, request_body=b'{"model": "cut of', answer_body=b"", truncated=True))
    assert (row["request"], row["answer"], row["truncated"]) == ('{"model": "cut of', None, True)


async def test_an_exchange_of_metadata_has_neither_request_nor_answer(database: Database) -> None:
    row = await found(database, record(1, keep="metadata", request_body=b"", answer_body=b""))
    assert (row["request"], row["answer"], row["stored_bytes"]) == (None, None, 0)


async def test_damaged_bodies_are_said_to_be_so(database: Database) -> None:
    exchanges = await stored(database, record(1, request_body=REQUEST * 50))
    async with database.writer.begin() as connection:
        await connection.execute(update(BODIES).values(content=b"\x28\xb5\x2f\xfdrubbish"))
    row = await exchanges.find(record(1).id)
    assert row is not None
    assert row["request"] is None
    assert "decompressed" in row["unreadable"]


async def test_an_unknown_id_is_not_found(database: Database) -> None:
    assert await reading(database).find("req_nothing") is None


async def test_the_figures_add_up(database: Database) -> None:
    exchanges = await stored(
        database,
        record(10, request_body=b"a" * 1000, answer_body=b"b" * 1000, cost_nano=2_000_000_000),
        record(20, outcome=Outcome.ERROR, request_body=b"c" * 2000, answer_body=b"", cost_nano=500_000_000),
        record(30, sensitivity="confidential", keep="metadata", request_body=b"", answer_body=b""),
    )
    stored_bytes = sum(row["stored_bytes"] for row in await exchanges.page(ExchangeQuery()))
    stats = await exchanges.stats()
    assert stats["compression_ratio"] == pytest.approx(4000 / stored_bytes, abs=0.01)
    del stats["compression_ratio"]
    assert stats == {
        "exchanges": 3,
        "with_bodies": 2,
        "by_outcome": {"ok": 2, "error": 1},
        "by_sensitivity": {"internal": 2, "confidential": 1},
        "raw_bytes": 4000,
        "stored_bytes": stored_bytes,
        "cost_usd": "2.500000",
        "oldest_ms": 10,
        "newest_ms": 30,
        "journal": {"waiting_rows": 3, "waiting_bytes": 999},
    }


async def test_the_figures_of_an_empty_database_are_zero(database: Database) -> None:
    stats = await reading(database).stats()
    assert (stats["exchanges"], stats["raw_bytes"], stats["compression_ratio"]) == (0, 0, None)
    assert (stats["cost_usd"], stats["oldest_ms"]) == ("0.000000", None)
