"""Exchanges are written, read and deleted alike on every database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from sqlalchemy import func, insert, select, text

from junto.core.exchange import Attempted, Outcome
from junto.ports.stores import ExchangeQuery
from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.retention import Retention
from junto.storage.sessions import OPERATOR, Sessions, Tenant
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.tables.routes import VERSIONS
from junto.storage.writer import ExchangeWriter, RecordRefused
from tests.unit.storage.records import record, records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from junto.core.exchange import ExchangeRecord
    from junto.storage.sessions import Scope, Session

pytestmark = pytest.mark.anyio

_DAY_MS = 24 * 60 * 60 * 1000


class FixedClock:
    """A clock that stands still, two days after the epoch."""

    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return 2 * _DAY_MS


async def count(sessions: Sessions, table: Table, scope: Scope = OPERATOR) -> int:
    async with sessions.read(scope) as session:
        return await session.connection.scalar(select(func.count()).select_from(table).where(session.within(table)))  # type: ignore[return-value]


def reading(sessions: Sessions) -> StoredExchanges:
    return StoredExchanges(sessions, fold_answer=lambda *_: {"text": "Paris."}, waiting=lambda: (0, 0))


async def test_every_field_of_a_record_comes_back(sessions: Sessions) -> None:
    written = record(
        1, tenant="acme", client="desk", client_id="cl_1", key_id="key_1", job_id="job_1", prompt_version="shared/a@3",
        task_type="a", stream=True, outcome=Outcome.ERROR, status=503, error_code="overloaded", cache_read_tokens=2,
        cache_write_tokens=3, reasoning_tokens=1, usage_estimated=True, cost_nano=2**62, price_date="2026-11-01",
        ttft_ms=7, duration_ms=9, parent_id="req_0", answer_stream=True, truncated=True,
        attempts=(Attempted(backend="a", model="b", failure="timeout", milliseconds=3),),
    )  # fmt: skip
    await ExchangeWriter(sessions).store([written])
    async with sessions.read(OPERATOR) as session:
        row = (await session.execute(select(EXCHANGES))).mappings().one()
    fields = msgspec.structs.asdict(written)
    for name in set(EXCHANGES.columns.keys()) & fields.keys() - {"attempts", "outcome"}:
        assert row[name] == fields[name], name
    assert (row["outcome"], json.loads(row["attempts"])) == ("error", msgspec.to_builtins(list(written.attempts)))
    found = await reading(sessions).find(written.id)
    assert found is not None
    assert found["request"]["messages"][0]["content"] == "What is the capital of France?"
    assert found["answer"] == {"text": "Paris."}


async def test_a_batch_of_many_tenants_is_stored_and_each_sees_its_part(sessions: Sessions) -> None:
    await ExchangeWriter(sessions).store([*records(1, 2, tenant="acme"), *records(3, tenant="bolt")])
    for table in (EXCHANGES, BODIES):
        assert await count(sessions, table) == 3
        assert await count(sessions, table, Tenant("acme")) == 2
        assert await count(sessions, table, Tenant("bolt")) == 1


async def test_stored_again_changes_nothing(sessions: Sessions) -> None:
    writer = ExchangeWriter(sessions)
    await writer.store(records(1, 2))
    await writer.store(records(2, 3, model="another"))
    await writer.store([*records(*range(4, 900)), *records(1)])
    assert await count(sessions, EXCHANGES) == await count(sessions, BODIES) == 899
    found = await reading(sessions).find(record(2).id)
    assert found is not None
    assert found["model"] == "llama3.2:3b"


async def test_a_record_that_no_column_can_hold_is_refused_and_leaves_nothing_behind(sessions: Sessions) -> None:
    writer = ExchangeWriter(sessions)
    with pytest.raises(RecordRefused):
        await writer.store([record(1), record(2, cost_nano=2**63)])
    with pytest.raises(RecordRefused):
        await writer.store([record(1), record(2, model="half a \ud83d face")])
    assert await count(sessions, EXCHANGES) == await count(sessions, BODIES) == 0


async def test_a_refusal_does_not_tell_what_was_in_the_record(sessions: Sessions) -> None:
    with pytest.raises(RecordRefused) as refusal:
        await ExchangeWriter(sessions).store([record(1, cost_nano=2**63, client="canary", request_body=b"canary")])
    assert "canary" not in str(refusal.value)


async def test_a_character_that_postgres_has_not_loses_no_record(sessions: Sessions) -> None:
    await ExchangeWriter(sessions).store([record(1, requested_model="nul\0nul", request_body=b"\0", answer_body=b"\0")])
    found = await reading(sessions).find(record(1).id)
    assert found is not None
    assert found["requested_model"].replace("\ufffd", "\0") == "nul\0nul"
    assert found["request"] == "\0"


async def test_what_is_written_along_stands_and_falls_with_the_batch(sessions: Sessions) -> None:
    async def along(session: Session, batch: Sequence[ExchangeRecord]) -> None:
        await session.execute(insert(VERSIONS).values(name=batch[0].id, version=len(batch)))

    async def fail(_: Session, __: Sequence[ExchangeRecord]) -> None:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        await ExchangeWriter(sessions, along=[along, fail]).store(records(1))
    assert await count(sessions, EXCHANGES) == 0
    await ExchangeWriter(sessions, along=[along]).store([*records(2, 3), record(4, keep="none")])
    async with sessions.read(OPERATOR) as session:
        rows = (await session.execute(select(VERSIONS))).mappings()
        written = {row["name"]: row["version"] for row in rows}
    assert written.get(record(2).id) == 3
    assert record(1).id not in written
    assert await count(sessions, EXCHANGES) == 2


async def test_a_column_that_a_newer_revision_has_added_is_in_nobodys_way(
    sessions: Sessions, database: Database
) -> None:
    writer = ExchangeWriter(sessions)
    for number in (1, 2):
        await writer.store(records(number))
        async with database.writer.begin() as connection:
            for table in (EXCHANGES, BODIES):
                await connection.execute(
                    text(f"ALTER TABLE {table.name} ADD COLUMN newer_{number} TEXT NOT NULL DEFAULT 'x'")
                )
    await writer.store(records(3))
    assert await count(sessions, EXCHANGES) == await count(sessions, BODIES) == 3
    async with Database(str(database.reader.url.render_as_string(hide_password=False))) as newcomer:
        await ExchangeWriter(Sessions(newcomer)).store(records(4))
    assert await count(sessions, EXCHANGES) == await count(sessions, BODIES) == 4


async def test_pages_go_from_new_to_old_and_keep_to_what_was_asked(sessions: Sessions) -> None:
    await ExchangeWriter(sessions).store([*records(1, 2, 3), *records(4, model="other", outcome=Outcome.CANCELLED)])
    stored = reading(sessions)
    everything = await stored.page(ExchangeQuery())
    assert [row["started_ms"] for row in everything] == [4, 3, 2, 1]
    before = await stored.page(ExchangeQuery(before=record(3).id, limit=1))
    assert [row["started_ms"] for row in before] == [2]
    assert [row["started_ms"] for row in await stored.page(ExchangeQuery(model="other", since_ms=2))] == [4]


async def test_figures_are_plain_numbers_that_json_can_hold(sessions: Sessions) -> None:
    await ExchangeWriter(sessions).store(
        [*records(1, 2, cost_nano=1_500_000_000), record(3, keep="metadata", sensitivity="confidential")]
    )
    figures = await reading(sessions).stats()
    told = json.loads(json.dumps(figures))
    assert (told["exchanges"], told["with_bodies"], told["cost_usd"]) == (3, 2, "3.000000")
    assert told["by_sensitivity"] == {"internal": 2, "confidential": 1}
    assert (told["oldest_ms"], told["newest_ms"]) == (1, 3)
    assert isinstance(figures["raw_bytes"], int)
    assert isinstance(figures["stored_bytes"], int)


async def test_what_is_too_old_goes_with_its_bodies(sessions: Sessions) -> None:
    await ExchangeWriter(sessions).store(
        [*records(*range(1, 8), tenant="acme"), record(_DAY_MS - 1), record(_DAY_MS + 1, tenant="bolt")]
    )
    assert await Retention(sessions, FixedClock(), days=1, batch_rows=3, pause=0).sweep() == 8
    assert await count(sessions, EXCHANGES) == await count(sessions, BODIES) == 1
