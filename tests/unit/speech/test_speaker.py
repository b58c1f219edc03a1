"""Speech for whoever waits: recorded once, however it ends."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from junto.core.errors import Forbidden, NotFound, Overloaded, UpstreamFailed
from junto.core.exchange import Outcome
from junto.identity.principal import ApiScope, Principal
from junto.speech.access import Elsewhere, Library
from junto.speech.encoding import AudioFormat
from junto.speech.recording import WIRE, Asked
from junto.speech.speaker import MOST_AT_ONCE
from tests.unit.speech.shop import Shop
from tests.unit.speech.test_attempt import ONE
from tests.unit.speech.tones import Tones

if TYPE_CHECKING:
    from pathlib import Path

    from junto.speech.speaker import Saying

pytestmark = pytest.mark.anyio

TEXT = "One. Two. Three."


def saying(shop: Shop, tier: str = "internal") -> Saying:
    asked = Asked(
        id="req_1",
        principal=Principal(),
        sensitivity=tier,
        wire=WIRE,
        model="tts-1",
        started=shop.clock.now,
        started_ms=1,
        body=b"{}",
        stream=True,
    )
    return shop.service().say(TEXT, shop.service().choose(None), AudioFormat.PCM, speed=1.0, asked=asked)


async def test_what_was_heard_whole_is_recorded_once_and_before_its_end(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    said = saying(shop)
    async for _ in said.pieces():
        assert shop.journal.records == []
    assert len(shop.journal.records) == 1
    await said.close()
    (record,) = shop.journal.records
    assert (record.outcome, record.input_tokens, record.request_body) == (Outcome.OK, len(TEXT), b"{}")
    assert shop.journal.speech[0].audio_ms > 0


async def test_the_text_of_a_tier_that_keeps_no_bodies_is_not_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    said = saying(shop, "confidential")
    async for _ in said.pieces():
        pass
    assert (shop.journal.records[0].request_body, shop.journal.records[0].keep) == (b"", "metadata")


async def test_who_leaves_lets_go_of_the_engine(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    said = saying(shop)
    pieces = said.pieces()
    await anext(pieces)
    await pieces.aclose()
    await said.close()
    assert shop.engine.ended == 1
    assert len(shop.engine.begun) == 1
    (record,) = shop.journal.records
    assert (record.outcome, record.status) == (Outcome.CANCELLED, 499)


async def test_an_engine_that_breaks_is_recorded_as_such(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones(crashes=1, crash_on="Two"))
    said = saying(shop)
    with pytest.raises(UpstreamFailed):
        async for _ in said.pieces():
            pass
    await said.close()
    (record,) = shop.journal.records
    assert (record.outcome, record.error_code, record.input_tokens) == (Outcome.ERROR, "upstream_failed", 0)


async def test_nothing_is_said_that_cannot_be_written_down(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    shop.journal.has_room = False
    with pytest.raises(Overloaded):
        saying(shop)
    assert shop.engine.begun == []


async def test_so_many_are_said_at_once_and_the_next_is_asked_to_come_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    service = shop.service()

    def begin() -> Saying:
        asked = Asked(
            id="r", principal=Principal(), sensitivity="internal", wire=WIRE, model="tts-1", started=0.0, started_ms=0
        )
        return service.say("Hello.", service.choose(None), AudioFormat.PCM, speed=1.0, asked=asked)

    begun = [begin() for _ in range(MOST_AT_ONCE)]
    with pytest.raises(Overloaded):
        begin()
    await begun[0].close()
    await begun[0].close()
    begun[0] = begin()
    with pytest.raises(Overloaded):
        begin()
    for each in begun:
        await each.close()


async def test_one_client_leaves_places_to_the_others(tmp_path: Path) -> None:
    """A text has its place as long as its listener takes, and whoever listens slowly takes what time they like."""
    shop = Shop(tmp_path, Tones())
    service = shop.service()

    def taken(client_id: str) -> list[Saying]:
        """The places that a client gets when it takes all it can."""
        principal = Principal(client=client_id, client_id=client_id)
        asked = Asked(
            id="r", principal=principal, sensitivity="internal", wire=WIRE, model="tts-1", started=0.0, started_ms=0
        )
        found: list[Saying] = []
        with suppress(Overloaded):
            while len(found) < MOST_AT_ONCE:
                found.append(service.say("Hello.", service.choose(None), AudioFormat.PCM, speed=1.0, asked=asked))
        return found

    of_a, of_b = taken("cli_a"), taken("cli_b")
    assert (len(of_a), len(of_b), taken("cli_a")) == (MOST_AT_ONCE // 2, MOST_AT_ONCE // 4, [])
    for each in of_a:
        await each.close()
    again = taken("cli_a")
    assert len(again) == (MOST_AT_ONCE - len(of_b)) // 2
    for each in (*of_b, *again):
        await each.close()


def test_a_list_of_models_opens_speech_by_the_name_asked_for_or_the_engines(tmp_path: Path) -> None:
    service = Shop(tmp_path, Tones()).service()
    service.check_allowed(Principal(), "tts-1", "hum")
    for allowed in ("tts-1", "hum"):
        service.check_allowed(Principal(allowed_models=frozenset({allowed})), "tts-1", "hum")
    with pytest.raises(Forbidden):
        service.check_allowed(Principal(allowed_models=frozenset({"llama"})), "tts-1", "hum")


async def test_a_file_is_its_owners_and_the_administrators(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    await shop.attempt(ONE).run()
    library = Library(shop.rows, shop.files)
    own = Principal(client_id="cli_1")
    serving = Principal(tenant="other", client_id="cli_1", scopes=frozenset({ApiScope.JOBS, ApiScope.SERVICE}))
    for finder in (own, serving, Principal(is_admin=True)):
        assert (await library.find(finder, "job_1.wav")).path.is_file()
    strangers = (
        Principal(client_id="cli_2"),
        Principal(),
        Principal(tenant="other", client_id="cli_1", scopes=frozenset()),
    )
    for stranger in strangers:
        with pytest.raises(NotFound):
            await library.find(stranger, "job_1.wav")
    for name in ("job_1.mp3", "../job_1.wav", "job_1/0000.1.wav", "/etc/passwd", "job_1.wav\0", "\ud800", ""):
        with pytest.raises(NotFound):
            await library.find(own, name)


async def test_a_file_of_another_host_is_told_to_be_elsewhere(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Tones())
    await shop.attempt(ONE).run()
    (row,) = shop.rows.kept.values()
    shop.files.path(row).unlink()
    with pytest.raises(Elsewhere, match="output_dir"):
        await Library(shop.rows, shop.files).find(Principal(client_id="cli_1"), "job_1.wav")
