"""An attempt at a speech job: what is whole is written down and not made again, and what breaks off leaves nothing."""

from __future__ import annotations

import asyncio
import wave
from typing import TYPE_CHECKING

import msgspec
import pytest

from junto.core.errors import UpstreamFailed
from junto.core.exchange import Outcome
from junto.speech.attempt import Fenced
from junto.speech.encoding import AudioFormat
from junto.speech.order import Chapter, Order
from tests.unit.speech.shop import Shop
from tests.unit.speech.tones import RATE, Tones

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ONE = Order(voice="low", format=AudioFormat.WAV, chapters=(Chapter(text="A whole text."),))
BOOK = Order(
    voice="low",
    format=AudioFormat.WAV,
    chapters=(Chapter(title="I", text="First one."), Chapter(text="Second one."), Chapter(text="Third one.")),
    in_chapters=True,
)


async def test_a_text_becomes_a_whole_file_a_row_an_answer_and_a_record(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    attempt = shop.attempt(ONE)
    done = await attempt.run()
    (row,) = shop.rows.kept.values()
    assert shop.names == {"job_1/0000.1.wav"}
    with wave.open(str(shop.files.path(row))) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (RATE, 1)
        assert round(1000 * sound.getnframes() / RATE) == row.audio_ms == 650
    assert row.bytes == shop.files.path(row).stat().st_size
    answer = msgspec.json.decode(done.answer)
    assert answer == {
        "response": "/output/job_1.wav",
        "voice": "low",
        "format": "wav",
        "audio_ms": 650,
        "bytes": row.bytes,
        "characters": 13,
    }
    assert (done.record.input_tokens, done.record.output_tokens, done.record.model) == (13, row.bytes, "hum")
    (record,) = shop.journal.records
    assert (record.operation, record.job_id, record.outcome) == ("speech", "job_1", Outcome.OK)
    assert (record.input_tokens, record.output_tokens) == (13, 0)
    assert (attempt.tokens, shop.steps) == (13, 1)


async def test_a_book_is_a_file_for_each_chapter(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    done = await shop.attempt(BOOK).run()
    answer = msgspec.json.decode(done.answer)
    assert answer["response"].split("\n") == [f"/output/job_1-00{n}.wav" for n in (1, 2, 3)]
    assert [(each["number"], each["title"], each["characters"]) for each in answer["chapters"]] == [
        (1, "I", 10),
        (2, "", 11),
        (3, "", 10),
    ]
    assert (shop.steps, done.record.input_tokens) == (3, 31)


async def test_after_a_crash_of_the_engine_the_next_attempt_goes_on_where_it_was(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones(crashes=1, crash_on="Second"))
    with pytest.raises(UpstreamFailed):
        await shop.attempt(BOOK).run()
    assert shop.names == {"job_1/0001.1.wav"}
    assert [record.outcome for record in shop.journal.records] == [Outcome.OK, Outcome.ERROR]
    assert [ended.engine_failed for ended in shop.journal.speech] == [False, True]
    shop.engine.begun.clear()
    done = await shop.attempt(BOOK, fence=2).run()
    assert shop.engine.begun == ["Second one.", "Third one."]
    assert shop.names == {"job_1/0001.1.wav", "job_1/0002.2.wav", "job_1/0003.2.wav"}
    assert done.record.input_tokens == 31


async def test_an_attempt_that_finds_everything_made_only_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    first = await shop.attempt(BOOK).run()
    (tmp_path / "job_1" / "0002.7.wav.abcd.part").write_text("of a worker that was killed")
    shop.engine.begun.clear()
    second = await shop.attempt(BOOK, fence=2).run()
    assert shop.engine.begun == []
    assert second.answer == first.answer
    assert second.record.output_tokens == first.record.output_tokens
    assert len(shop.names) == 3


async def test_cancelled_it_lets_go_of_the_engine_and_leaves_no_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones(held="Second"))
    attempt = shop.attempt(BOOK)
    running = asyncio.create_task(attempt.run())
    await shop.engine.reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert shop.engine.ended == 2
    assert shop.names == {"job_1/0001.1.wav"}
    assert attempt.record is not None
    assert attempt.record.outcome is Outcome.CANCELLED


async def test_a_lost_claim_writes_no_row(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    shop.rows.stale = True
    with pytest.raises(Fenced):
        await shop.attempt(ONE).run()
    assert shop.rows.kept == {}


async def test_a_database_that_restarts_costs_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    shop.rows.away = 3
    await shop.attempt(ONE).run()
    assert len(shop.rows.kept) == 1
    assert shop.engine.begun == ["A whole text."]
