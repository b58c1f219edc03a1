"""A process that dies between accepting a message and answering it: the next one answers, once, wherever that was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2

from tests.chaos.jobs.child import WORDS
from tests.chaos.jobs.processes import Child, orders, until

if TYPE_CHECKING:
    from pathlib import Path

ADMIN = {"authorization": "Bearer jt_a-key-for-tests-only-0123456789"}
AGENT = {"name": "desk", "model": "cloud-model", "sensitivity": "public"}
POINTS = ("before submit", "after submit", "in the answer", "after finish")


def say(url: str, id: str) -> str | None:
    """Say something; the reply, None if nobody lived to give one."""
    try:
        answer = httpx2.post(
            f"{url}/agents/desk/messages",
            json={"message": f"hello {id}", "thread": "t", "message_id": id},
            timeout=30,
            trust_env=False,
        )
    except httpx2.HTTPError:
        return None
    assert answer.status_code in {200, 202}, answer.text
    reply: str | None = answer.json()["reply"]
    return reply


def messages(url: str) -> list[dict[str, Any]]:
    """The one conversation that there is."""
    with httpx2.Client(base_url=url, headers=ADMIN, timeout=20, trust_env=False) as client:
        (conversation,) = client.get("/agents/desk/conversations").raise_for_status().json()["conversations"]
        path = f"/agents/desk/conversations/{conversation['id']}"
        found: list[dict[str, Any]] = client.get(path).raise_for_status().json()["messages"]
        return found


def test_what_was_accepted_is_answered_once_wherever_the_process_dies(tmp_path: Path) -> None:
    with Child(orders(tmp_path)) as child:
        assert child.ready().ended is None
        httpx2.post(f"{child.url}/agents", json=AGENT, headers=ADMIN, trust_env=False).raise_for_status()
    said: list[dict[str, Any]] = []
    for number, point in enumerate(POINTS):
        with Child(orders(tmp_path, die_at=point)) as child:
            assert child.ready().url
            assert say(child.url, f"m{number}") is None
            assert child.wait() == 137, point
        with Child(orders(tmp_path)) as child:
            assert child.ready().ended is None
            until(lambda: len(messages(child.url)) > 2 * number + 1, 30, every=0.05)  # noqa: B023  within this round
            assert say(child.url, f"m{number}") == WORDS  # whoever asks again gets what is there
            said = messages(child.url)
    assert len(said) == 2 * len(POINTS)
    answered = [each["message_id"] for each in said if each["role"] == "assistant"]
    assert sorted(answered) == sorted({each["message_id"] for each in said if each["role"] == "user"})
    assert not any(each["fallback"] for each in said)
    with closing(sqlite3.connect(tmp_path / "junto.sqlite3")) as database:
        jobs = database.execute("SELECT status FROM jobs").fetchall()
        ledger = database.execute("SELECT client_id FROM ledger WHERE kind = 'job'").fetchall()
    assert jobs == [("complete",)] * len(POINTS)
    assert ledger == [("agents:default",)] * len(POINTS)
