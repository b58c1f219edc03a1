"""One tenant's conversations are nothing to another, on Postgres with the application's filters off too; texts are sealed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from junto.core.secret import Secret
from junto.ports.agents import ConversationQuery
from junto.storage.engine import Database
from junto.storage.sealing import Sealer
from junto.storage.sessions import OPERATOR
from junto.storage.tables import CONVERSATIONS, TURNS

from .lobby import OURS, THEIRS, Lobby

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["filtered on sqlite", "filtered on postgres", "unfiltered on postgres"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Lobby]:
    is_sqlite = request.param.endswith("sqlite")
    place = request.getfixturevalue("tmp_path" if is_sqlite else "postgres_url")
    async with Database(place) as database:
        lobby = Lobby(database, filtered=not request.param.startswith("un"))
        await lobby.set_up()
        yield lobby


async def test_a_foreign_id_is_as_good_as_none(both: Lobby) -> None:
    theirs = await both.say("A secret.", tenant_id=THEIRS)
    store = both.store
    assert await store.history(OURS, theirs.conversation_id) is None
    assert await store.turns(OURS, theirs.conversation_id, after=0, limit=9) == []
    assert await store.find(OURS, "ada", theirs.conversation_id) is None
    assert await store.conversations(OURS, "ada", ConversationQuery()) == []
    assert not await store.save_summary(OURS, theirs.conversation_id, "Mine.", 1)
    assert not await store.bind_job(OURS, theirs.inbox_id, "job_1")
    assert not await store.answer(OURS, theirs.inbox_id, "Mine.", fallback=False)
    assert not await store.delete(OURS, "ada", theirs.conversation_id)
    assert await store.answer(THEIRS, theirs.inbox_id, "Yours.", fallback=False)
    assert not await store.delivered(OURS, theirs.inbox_id)
    assert [turn.text for turn in await both.turns(theirs, THEIRS)] == ["A secret.", "Yours."]


async def test_agents_of_one_name_are_changed_and_deleted_one_without_the_other(both: Lobby) -> None:
    theirs = await both.answered(tenant_id=THEIRS)
    await both.answered()
    assert await both.agents.delete(OURS, "ada")
    assert await both.agents.agents(OURS, after=None, limit=9) == []
    assert [agent.name for agent in await both.agents.agents(THEIRS, after=None, limit=9)] == ["ada"]
    assert len(await both.turns(theirs, THEIRS)) == 2


def sealer(secret: str = "a secret of the tests") -> Sealer:
    return Sealer(Secret(secret), entropy=secrets.token_bytes)


async def test_what_was_said_and_its_summary_lie_encrypted_and_are_read_as_they_were(
    lobby: Lobby, database: Database
) -> None:
    sealed = Lobby(database, sealer())
    accepted = await sealed.answered("the password is tulip")
    assert await sealed.store.save_summary(OURS, accepted.conversation_id, "about a tulip", 1)
    history = await sealed.store.history(OURS, accepted.conversation_id)
    assert history is not None
    assert (history.summary, history.turns[0].text) == ("about a tulip", "THE PASSWORD IS TULIP")
    assert (await sealed.say("the password is tulip")).reply == "THE PASSWORD IS TULIP"
    rows = [*await lobby.rows(TURNS), *await lobby.rows(CONVERSATIONS)]
    assert all("+aesgcm:" in (row.get("codec") or row["summary_codec"]) for row in rows)
    assert not any(b"tulip" in bytes(row.get("content") or row["summary"]).lower() for row in rows)


async def test_what_cannot_be_read_is_empty_and_stops_nothing(lobby: Lobby, database: Database) -> None:
    first = await Lobby(database, sealer()).say("unreadable")
    lobby.make_id("msg")  # the other lobby had this number
    await lobby.say("readable", "m2")
    assert [turn.text for turn in await lobby.turns(first)] == ["", "readable"]
    assert [entry.message.text for entry in await lobby.store.unanswered(older_than_ms=0, limit=9)] == ["", "readable"]


async def test_what_was_moved_to_another_place_cannot_be_read_there(lobby: Lobby, database: Database) -> None:
    sealed = Lobby(database, sealer())
    first = await sealed.say("the first")
    await sealed.say("the second", "m2")
    one, two = await lobby.rows(TURNS)
    async with lobby.sessions.write(OPERATOR) as session:
        for row, content in ((one, two["content"]), (two, one["content"])):
            mine = (TURNS.c.conversation_id == row["conversation_id"]) & (TURNS.c.number == row["number"])
            await session.execute(TURNS.update().where(mine).values(content=content))
    assert [turn.text for turn in await sealed.turns(first)] == ["", ""]
