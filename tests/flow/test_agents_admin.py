"""Agents and their conversations, administered in a running Junto, on SQLite and on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from junto.ports.agents import Accepted, Attachment, Channel, ChannelMessage
from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA = {
    "name": "ada",
    "display_name": "Ada",
    "role": "front desk",
    "persona": "Warm and brief.",
    "instructions": "Open from 10 to 18.",
    "sensitivity": "internal",
    "channels": {"web": {"enabled": True, "visitors": True}},
    "retention_days": 30,
}


class Office:
    """A Junto with the tenants `default` and `acme`."""

    def __init__(self, junto: RunningJunto) -> None:
        self.junto = junto

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        return self.junto.http.request(method, path, json=body, params=query, headers=self.junto.admin)

    def done(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        return self.ask(method, path, body, **query).raise_for_status().json()

    def refused(self, status: int, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        answer = self.ask(method, path, body, **query)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    def fresh(self, name: str, **more: Any) -> dict[str, Any]:
        """An agent of that name and no other."""
        tenant = more.get("tenant", "default")
        self.ask("DELETE", f"/agents/{name}", tenant=tenant)
        made: dict[str, Any] = self.done("POST", "/agents", {**ADA, "name": name, **more})
        return made

    def tell(self, agent: str, text: str, *, tenant: str, thread: str = "t1", id: str = "m1") -> Accepted:
        """A message as a channel hands it over, answered."""
        store = self.junto.services.agents.conversations
        message = ChannelMessage(
            tenant_id=tenant,
            agent=agent,
            channel=Channel.WEB,
            thread=thread,
            message_id=id,
            sender="visitor-1",
            text=text,
            attachments=(Attachment(name="plan.pdf"),),
            sent_ms=1_700_000_000_000,
        )

        async def told() -> Accepted:
            accepted = await store.accept(message)
            assert await store.answer(tenant, accepted.inbox_id, f"You said: {text}", fallback=False)
            return accepted

        return self.junto.run(told())


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Iterator[Office]:
    with RunningJunto(tmp_path_factory.mktemp("office"), environ=database) as junto:
        office = Office(junto)
        office.done("POST", "/tenants", {"name": "acme"})
        yield office


def test_an_agent_is_made_shown_and_listed(office: Office) -> None:
    made = office.fresh("ada")
    expected = {**ADA, "tenant": "default", "model": "fast", "tools": False, "enabled": True}
    expected["channels"] = {
        "web": {"enabled": True, "visitors": True},
        "slack": {"enabled": False, "team": "", "app": "", "channels": []},
    }
    assert expected.items() <= made.items()
    assert made["id"].startswith("agt_")
    assert made["created_ms"] == made["updated_ms"] > 1_700_000_000_000
    assert office.done("GET", "/agents/ada") == made
    assert made in office.done("GET", "/agents")["agents"]


def test_agents_are_listed_by_name_and_paged(office: Office) -> None:
    for name in ("page-b", "page-a", "page-c"):
        office.fresh(name, tenant="acme")
    first = office.done("GET", "/agents", tenant="acme", after="page-", limit=2)
    second = office.done("GET", "/agents", tenant="acme", after=first["next"], limit=2)
    assert [agent["name"] for agent in first["agents"]] == ["page-a", "page-b"]
    assert second["agents"][0]["name"] == "page-c"
    assert second["next"] is None


def test_a_change_changes_what_it_names_and_is_in_force_at_once(office: Office) -> None:
    made = office.fresh("cleo", tenant="acme")
    shelf = office.junto.services.agents.shelf
    changed = office.done("PATCH", "/agents/cleo", {"persona": "Dry.", "retention_days": None}, tenant="acme")
    assert changed == {**made, "persona": "Dry.", "retention_days": None, "updated_ms": changed["updated_ms"]}
    in_force = shelf.find(made["tenant"], "cleo")
    assert in_force is not None
    assert (in_force.persona, in_force.title) == ("Dry.", "Ada")
    slack = office.done("PATCH", "/agents/cleo", {"channels": {"slack": {"enabled": True}}}, tenant="acme")
    assert slack["channels"]["web"] == {"enabled": True, "visitors": True}
    assert slack["channels"]["slack"]["enabled"] is True
    named = office.done("PATCH", "/agents", {"name": "cleo", "tenant": "acme", "enabled": False})
    assert named["enabled"] is False
    assert shelf.find(made["tenant"], "cleo") is None


def test_two_tenants_have_agents_of_one_name_and_know_nothing_of_each_other(office: Office) -> None:
    ours, theirs = office.fresh("twin", persona="ours"), office.fresh("twin", persona="theirs", tenant="acme")
    assert ours["tenant"] != theirs["tenant"]
    accepted = office.tell("twin", "a secret of acme", tenant=theirs["tenant"])
    here = f"/agents/twin/conversations/{accepted.conversation_id}"
    assert office.done("GET", "/agents/twin")["persona"] == "ours"
    assert office.done("GET", "/agents/twin/conversations")["conversations"] == []
    foreign = office.refused(404, "GET", here)
    absent = office.refused(404, "GET", here[:-1] + ("0" if here[-1] != "0" else "1"))
    assert foreign["message"][:40] == absent["message"][:40]
    assert office.refused(404, "DELETE", here)["code"] == "not_found"
    assert office.done("GET", here, tenant="acme")["messages"][0]["text"] == "a secret of acme"


def test_a_conversation_is_read_in_pages_and_deleted(office: Office) -> None:
    made = office.fresh("dora", tenant="acme")
    for number in (1, 2):
        office.tell("dora", f"question {number}", tenant=made["tenant"], id=f"m{number}")
    [one] = office.done("GET", "/agents/dora/conversations", tenant="acme", channel="web")["conversations"]
    assert (one["agent"], one["thread"], one["turns"]) == ("dora", "t1", 4)
    path = f"/agents/dora/conversations/{one['id']}"
    first = office.done("GET", path, tenant="acme", limit=3)
    rest = office.done("GET", path, tenant="acme", after=first["next"])
    said = [(turn["role"], turn["text"]) for turn in first["messages"] + rest["messages"]]
    assert said == [
        ("user", "question 1"),
        ("assistant", "You said: question 1"),
        ("user", "question 2"),
        ("assistant", "You said: question 2"),
    ]
    assert first["messages"][0]["attachments"] == [{"name": "plan.pdf", "url": ""}]
    assert (first["summary"], first["summary_upto"], rest["next"]) == ("", 0, None)
    assert office.done("DELETE", path, tenant="acme")["deleted"] is True
    office.refused(404, "GET", path, tenant="acme")
    assert office.done("GET", "/agents/dora/conversations", tenant="acme")["conversations"] == []


def test_a_deleted_agent_is_gone_with_its_conversations(office: Office) -> None:
    made = office.fresh("gone", tenant="acme")
    office.tell("gone", "hello", tenant=made["tenant"])
    assert office.done("DELETE", "/agents/gone", tenant="acme") == {
        "name": "gone",
        "tenant": made["tenant"],
        "deleted": True,
    }
    office.refused(404, "GET", "/agents/gone", tenant="acme")
    assert office.junto.services.agents.shelf.find(made["tenant"], "gone") is None
    again = office.fresh("gone", tenant="acme")
    assert again["id"] != made["id"]
    assert office.done("GET", "/agents/gone/conversations", tenant="acme")["conversations"] == []


def test_a_name_that_is_taken_or_unknown_is_told_with_near_ones(office: Office) -> None:
    office.fresh("front-desk")
    assert office.refused(409, "POST", "/agents", {"name": "front-desk"})["param"] == "name"
    assert "Did you mean front-desk?" in office.refused(404, "GET", "/agents/front-dask")["message"]
    assert "Did you mean acme?" in office.refused(404, "GET", "/agents", tenant="acmee")["message"]
    assert "'NUL\\x00'" in office.refused(404, "GET", "/agents/NUL%00")["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "Ada"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "x", "model": "agent/ada"}, "model"),
        ({"name": "x", "model": ""}, "model"),
        ({"name": "x", "sensitivity": "secret"}, "sensitivity"),
        ({"name": "x", "retention_days": 0}, "retention_days"),
        ({"name": "x", "persona": "a" * 8_001}, "persona"),
        ({"name": "x", "instructions": "a\0b"}, "instructions"),
        ({"name": "x", "channels": {"slack": {"team": "lower"}}}, "channels.slack.team"),
        ({"name": "x", "channels": {"web": {"visitors": True}}}, "channels.web.visitors"),
        ({"name": "x", "transparency": "off"}, "transparency"),
        ({"name": "x", "tenant_id": "acme"}, "tenant_id"),
    ],
)
def test_what_no_agent_may_have_is_refused_by_the_field(office: Office, body: dict[str, Any], param: str) -> None:
    assert office.refused(422, "POST", "/agents", body)["param"] == param


def test_a_change_to_what_no_agent_may_have_changes_nothing(office: Office) -> None:
    made = office.fresh("same")
    assert office.refused(422, "PATCH", "/agents/same", {"persona": "New.", "model": "agent/same"})["param"] == "model"
    assert office.done("GET", "/agents/same") == made
