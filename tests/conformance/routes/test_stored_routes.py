"""Routes, prompts and recorded traffic on every database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from junto.core.chat import Sampling
from junto.core.errors import Conflict
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.ports.prompts import NewPrompt
from junto.prompts.shelf import PromptShelf
from junto.routing.routes import Route, ShadowModel
from junto.storage.repositories.prompts import StoredPrompts
from junto.storage.repositories.routes import StoredRoutes, StoredTraffic
from junto.storage.repositories.versions import read_versions
from junto.storage.sessions import OPERATOR, Sessions
from junto.storage.tables.exchanges import EXCHANGES

if TYPE_CHECKING:
    from sqlalchemy import Table

pytestmark = pytest.mark.anyio

EMAIL = Route(
    task_type="email",
    preferred_model="fast",
    fallback_model="quality",
    sensitivity=Sensitivity.INTERNAL,
    max_tokens=100,
    sampling=Sampling(temperature=0.1, stop=("\n\n",)),
    shadow_models=(ShadowModel(model="quality", rate=0.5, daily_cap_nano=10**9),),
    notes="grüße \N{CAT FACE}",
)


async def test_every_save_is_a_version_and_the_last_one_is_in_force(sessions: Sessions) -> None:
    store = StoredRoutes(sessions)
    assert await store.in_force() == []
    first = await store.save("email", EMAIL, author="admin", expected=None)
    second = await store.save("email", Route(task_type="email", preferred_model="small"), author="admin", expected=1)
    assert (first.version, second.version) == (1, 2)
    assert first.created_ms > 1_600_000_000_000
    assert first.route is not None
    assert first.route == Route(**{name: getattr(EMAIL, name) for name in EMAIL.__struct_fields__} | {"version": 1})
    assert [route.preferred_model for route in await store.in_force()] == ["small"]
    assert [one.version for one in await store.history("email", before=None, limit=10)] == [2, 1]
    assert [one.version for one in await store.history("email", before=2, limit=10)] == [1]
    assert [one.version for one in await store.history("email", before=None, limit=1)] == [2]
    assert await store.find("email", 1) == first
    assert await store.find("email") == second
    assert await store.find("email", 7) is None
    assert await store.find("other") is None


async def test_a_deletion_is_a_version_too_and_can_be_taken_back(sessions: Sessions) -> None:
    store = StoredRoutes(sessions)
    await store.save("email", EMAIL, author="admin", expected=None)
    gone = await store.save("email", None, author="admin", expected=None)
    assert (gone.version, gone.route) == (2, None)
    assert await store.in_force() == []
    again = await store.save("email", EMAIL, author="admin", expected=2)
    assert again.version == 3
    assert [route.version for route in await store.in_force()] == [3]


async def test_who_expects_another_version_changes_nothing(sessions: Sessions) -> None:
    store = StoredRoutes(sessions)
    await store.save("email", EMAIL, author="admin", expected=0)
    before = await read_versions(sessions)
    for expected in (0, 2):
        with pytest.raises(Conflict):
            await store.save("email", EMAIL, author="admin", expected=expected)
    assert await read_versions(sessions) == before
    assert len(await store.history("email", before=None, limit=10)) == 1


async def test_savers_at_once_take_turns_and_each_save_counts(sessions: Sessions) -> None:
    store = StoredRoutes(sessions)
    await asyncio.gather(*(store.save("email", EMAIL, author="admin", expected=None) for _ in range(8)))
    assert [one.version for one in await store.history("email", before=None, limit=20)] == list(range(8, 0, -1))
    assert (await read_versions(sessions))["routes"] == 8


async def test_of_two_who_expect_the_same_version_one_is_refused(sessions: Sessions) -> None:
    store = StoredRoutes(sessions)
    ended = await asyncio.gather(
        *(store.save("email", EMAIL, author="admin", expected=0) for _ in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in ended) == 1
    assert sum(isinstance(each, Conflict) for each in ended) == 4


def prompt(body: str, client_id: str = "", task_type: str = "email", **more: Any) -> NewPrompt:
    return NewPrompt(**{"client_id": client_id, "task_type": task_type, "body": body, "source": "api", **more})


def file(body: str, client_id: str = "", task_type: str = "email") -> NewPrompt:
    return prompt(body, client_id, task_type, source="file", git_hash=f"hash of {body}")


async def test_a_clients_own_template_goes_before_the_shared_one(sessions: Sessions) -> None:
    store, shelf = StoredPrompts(sessions), PromptShelf()
    await store.save(prompt("for all"), author="admin", expected=None)
    await store.save(prompt("for one", "cli_1"), author="admin", expected=0)
    await shelf.load(store)
    own, shared = shelf.find("cli_1", "email"), shelf.find("cli_2", "email")
    assert own is not None
    assert shared is not None
    assert (own.body, own.label) == ("for one", "cli_1:email@1")
    assert (shared.body, shared.label) == ("for all", "shared:email@1")
    assert shelf.find("", "email") == shared
    assert shelf.find("cli_1", "other") is None
    await store.save(prompt("", "cli_1", deleted=True), author="admin", expected=1)
    await shelf.load(store)
    assert shelf.find("cli_1", "email") == shared


async def test_templates_have_versions_of_their_own(sessions: Sessions) -> None:
    store = StoredPrompts(sessions)
    for body in ("a", "b"):
        await store.save(prompt(body), author="admin", expected=None)
    await store.save(prompt("c", "cli_1"), author="admin", expected=None)
    assert [one.body for one in await store.history("", "email", before=None, limit=5)] == ["b", "a"]
    assert [one.version for one in await store.history("cli_1", "email", before=None, limit=5)] == [1]
    first = await store.find("", "email", 1)
    assert first is not None
    assert first.body == "a"
    with pytest.raises(Conflict):
        await store.save(prompt("d"), author="admin", expected=1)


async def test_files_are_imported_once_and_again_when_they_change(sessions: Sessions) -> None:
    store = StoredPrompts(sessions)
    assert len(await store.imported([file("a"), file("b", "cli_1")], author="file")) == 2
    counted = await read_versions(sessions)
    assert await store.imported([file("a"), file("b", "cli_1")], author="file") == []
    assert await read_versions(sessions) == counted
    (added,) = await store.imported([file("a2"), file("b", "cli_1")], author="file")
    assert (added.version, added.body, added.source, added.git_hash) == (2, "a2", "file", "hash of a2")


async def test_an_edit_outlives_an_unchanged_file(sessions: Sessions) -> None:
    """What was edited since the import stays until the file itself changes."""
    store = StoredPrompts(sessions)
    await store.imported([file("a")], author="file")
    await store.save(prompt("edited"), author="admin", expected=1)
    assert await store.imported([file("a")], author="file") == []
    assert [one.body for one in await store.in_force()] == ["edited"]
    await store.imported([file("b")], author="file")
    assert [(one.body, one.version) for one in await store.in_force()] == [("b", 3)]


async def test_nodes_that_import_at_once_add_one_version(sessions: Sessions) -> None:
    store = StoredPrompts(sessions)
    added = await asyncio.gather(*(store.imported([file("a")], author="file") for _ in range(5)))
    assert sum(map(len, added)) == 1
    assert [one.version for one in await store.history("", "email", before=None, limit=10)] == [1]


def row(table: Table, **values: Any) -> dict[str, Any]:
    """A row with nothing in it but those values."""
    empty = {c.name: 0 if c.type.python_type is int else "" for c in table.columns if not c.nullable}
    return empty | values


async def test_recorded_traffic_is_metadata_newest_first(sessions: Sessions) -> None:
    async with sessions.write(OPERATOR) as session:
        for number in range(5):
            at = 1_700_000_000_000 + number
            values = {
                "id": f"req_{at:011x}{number:013x}",
                "started_ms": at,
                "tenant": "default" if number % 2 else "acme",
                "client_id": "cli_1",
                "operation": "chat",
                "requested_model": "fast",
                "sensitivity": "internal",
                "task_type": "email" if number < 3 else "bio",
                "input_tokens": number,
                "output_tokens": 7,
                "cost_nano": 5,
                "parent_id": "req_parent" if number == 4 else "",
            }
            await session.execute(insert(EXCHANGES).values(**row(EXCHANGES, **values)))
    traffic = StoredTraffic(sessions)
    found = await traffic.recorded(since_ms=None, task_type=None, limit=10)
    assert [one.usage.input for one in found] == [3, 2, 1, 0]
    assert (found[0].task_type, found[0].sensitivity, found[0].usage, found[0].cost_nano) == (
        "bio",
        Sensitivity.INTERNAL,
        Usage(input=3, output=7),
        5,
    )
    assert [one.usage.input for one in await traffic.recorded(since_ms=None, task_type="email", limit=2)] == [2, 1]
    assert len(await traffic.recorded(since_ms=1_700_000_000_002, task_type=None, limit=10)) == 2
