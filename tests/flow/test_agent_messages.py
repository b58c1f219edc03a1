"""Messages to an agent over HTTP, on a running Junto: a conversation with memory, told once, answered once, whatever fails."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from junto.agents.answering import FALLBACK
from junto.agents.prompt import CLAUSE
from junto.bootstrap.agent_jobs import AgentOptions
from junto.bootstrap.jobs import JobOptions
from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.fake import Fake, Step, saying
from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx2

    from junto.settings.model import BackendSettings

QUICK = JobOptions(lease=3.0, sweep=0.1, grace=1.0)
AGENT = {"name": "front-desk", "display_name": "Anna", "instructions": "Book rooms.", "model": "cloud-model", "sensitivity": "public"}  # fmt: skip


class Desk:
    """A Junto with one agent, in front of a scripted cloud."""

    def __init__(self, junto: RunningJunto, cloud: Fake) -> None:
        self.junto = junto
        self.cloud = cloud

    def say(
        self, text: str, headers: dict[str, str] | None = None, agent: str = "front-desk", **more: Any
    ) -> httpx2.Response:
        return self.junto.http.post(f"/agents/{agent}/messages", json={"message": text, **more}, headers=headers)

    def reply(self, text: str, **more: Any) -> dict[str, Any]:
        answer = self.say(text, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def shown(self, at: int = -1) -> list[tuple[str, str]]:
        """What a model was shown."""
        request: Any = self.cloud.calls[at].request()
        return [(message.role.value, message.text) for message in request.messages]

    def turns(self, conversation_id: str, agent: str = "front-desk") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.junto.get(f"/agents/{agent}/conversations/{conversation_id}")["messages"]
        return found

    def key(self, **policy: Any) -> dict[str, str]:
        """The headers of a new client."""
        body = {"name": f"app-{time.monotonic_ns()}", **policy}
        made = self.junto.http.post("/clients", json=body, headers=self.junto.admin).raise_for_status()
        return {"authorization": f"Bearer {made.json()['api_key']}"}


def opened(tmp_path: Path, script: list[Step], agents: AgentOptions | None = None) -> Iterator[Desk]:
    cloud = Fake("cloud", models=("cloud-model",), script=script)

    def provider(_: BackendSettings) -> Fake:
        return cloud

    config = {"backends": [{"name": "cloud", "provider": "fake", "locality": "cloud", "models": ["cloud-model"]}]}
    options = agents or AgentOptions(deadline=20.0, sweep=0.2, young=30.0)
    with RunningJunto(
        tmp_path, config, make_provider=provider, job_options=QUICK, agent_options=options, jitter=lambda: 0.0
    ) as junto:
        junto.http.post("/agents", json=AGENT, headers=junto.admin).raise_for_status()
        yield Desk(junto, cloud)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    names = ("one", "two", "three")
    yield from opened(tmp_path, [Step(events=saying(f"answer {name} it is"), pause=0.01) for name in names])


def test_three_turns_with_memory(desk: Desk) -> None:
    """Each message finds what was said before, under the system prompt that ends with the clause."""
    first = desk.reply("My name is Ada.", thread="t1")
    desk.reply("I need a room.", thread="t1")
    third = desk.reply("What is my name?", thread="t1")
    assert (first["reply"], third["reply"]) == ("answer one it is", "answer three it is")
    assert first["conversation_id"] == third["conversation_id"]
    (role, system), *said = desk.shown()
    assert role == "system"
    assert system.startswith("Book rooms.\n\nYour name is Anna.")
    assert system.endswith(CLAUSE)
    assert said == [
        ("user", "My name is Ada."),
        ("assistant", "answer one it is"),
        ("user", "I need a room."),
        ("assistant", "answer two it is"),
        ("user", "What is my name?"),
    ]
    assert [turn["role"] for turn in desk.turns(third["conversation_id"])] == ["user", "assistant"] * 3


def test_another_thread_is_another_conversation(desk: Desk) -> None:
    one = desk.reply("hello", thread="t1")
    other = desk.reply("hello")
    assert one["conversation_id"] != other["conversation_id"]
    assert other["thread"]
    assert [role for role, _ in desk.shown()] == ["system", "user"]


def test_a_message_id_is_answered_once(desk: Desk) -> None:
    first = desk.reply("hello", thread="t1", message_id="m1")
    again = desk.reply("hello", thread="t1", message_id="m1")
    assert again["reply"] == first["reply"]
    assert (again["message_id"], again["job_id"]) == ("m1", first["job_id"])
    assert len(desk.cloud.calls) == 1
    assert len(desk.turns(first["conversation_id"])) == 2


def test_the_same_message_at_once_waits_for_the_one_answer(desk: Desk) -> None:
    replies: list[str] = []
    asking = [
        threading.Thread(target=lambda: replies.append(desk.reply("hello", thread="t1", message_id="m1")["reply"]))
        for _ in range(4)
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join(20)
    assert replies == ["answer one it is"] * 4
    assert len(desk.cloud.calls) == 1


def test_what_two_clients_say_is_apart(desk: Desk) -> None:
    """The same thread and message id of another client are another conversation and another message."""
    ada, bob = desk.key(min_sensitivity="public"), desk.key(min_sensitivity="public")
    one = desk.reply("I am Ada.", headers=ada, thread="t", message_id="m")
    other = desk.reply("Who am I?", headers=bob, thread="t", message_id="m")
    assert one["conversation_id"] != other["conversation_id"]
    assert other["reply"] == "answer two it is"
    assert [text for role, text in desk.shown() if role == "user"] == ["Who am I?"]


def test_it_streams(desk: Desk) -> None:
    with desk.junto.http.stream(
        "POST", "/agents/front-desk/messages", json={"message": "hello", "stream": True}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = [block for block in "".join(answer.iter_text()).split("\n\n") if block and block[0] != ":"]
    events = [(block.split("\n")[0][7:], json.loads(block.split("data: ", 1)[1])) for block in blocks]
    assert events[-1][0] == "reply"
    assert events[-1][1]["reply"] == "answer one it is"
    text = ""
    for name, data in events[:-1]:
        assert name == "text"
        text = text[: data["offset"]] + data["text"]
    assert text in {"", "answer one it is"}  # an answer may be there before anybody can watch it grow


def test_the_cost_is_the_callers(desk: Desk) -> None:
    """A client pays for what it asks; without a key it is the tenant's, under the agents' own name."""
    ada = desk.key(min_sensitivity="public")
    job = desk.reply("hello", headers=ada)["job_id"]
    assert desk.junto.http.get(f"/jobs/{job}", headers=ada).status_code == 200
    other = desk.reply("hello")["job_id"]
    assert desk.junto.http.get(f"/jobs/{other}", headers=ada).status_code == 404
    assert desk.junto.get(f"/jobs/{other}")["metadata"]["tools"] == "off"


def test_a_clients_list_of_models_has_the_agent_or_what_is_behind_it(desk: Desk) -> None:
    for allowed, status in ((["agent/front-desk"], 200), (["cloud-model"], 200), (["another"], 403)):
        key = desk.key(allowed_models=allowed, min_sensitivity="public")
        assert desk.say("hello", headers=key).status_code == status


@pytest.mark.parametrize(
    ("agent", "body", "status", "param", "words"),
    [
        ("front-dexk", {"message": "hi"}, 404, None, "front-desk"),
        ("front-desk", {"message": "x" * 32_001}, 413, "message", "32000"),
        ("front-desk", {"message": " "}, 422, "message", ""),
        ("front-desk", {"message": ""}, 422, "message", ""),
        ("front-desk", {"message": "a\x00b"}, 422, "message", ""),
        ("front-desk", {}, 422, "message", ""),
        ("front-desk", {"message": "hi", "thread": "x" * 151}, 422, "thread", ""),
        ("front-desk", {"message": "hi", "thread": "a\nb"}, 422, "thread", ""),
        ("front-desk", {"message": "hi", "message_id": ""}, 422, "message_id", ""),
        ("front-desk", {"message": "hi", "tenant_id": "other"}, 422, "tenant_id", ""),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(  # noqa: PLR0917
    desk: Desk, agent: str, body: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    for stream in (False, True):
        answer = desk.junto.http.post(f"/agents/{agent}/messages", json={**body, "stream": stream})
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert words in error["message"]
        assert param is None or error["param"] == param
    assert not desk.cloud.calls


def test_a_stricter_tier_than_the_agents_is_refused(desk: Desk) -> None:
    assert desk.say("hi", headers={"x-junto-sensitivity": "confidential"}).status_code == 422
    assert desk.say("hi", headers={"x-junto-sensitivity": "public"}).status_code == 200


def test_a_disabled_agent_is_not_there(desk: Desk) -> None:
    desk.junto.http.patch("/agents/front-desk", json={"enabled": False}, headers=desk.junto.admin).raise_for_status()
    assert desk.say("hi").status_code == 404


def test_every_model_failing_gives_a_polite_reply(tmp_path: Path) -> None:
    """Which is kept as such, and not shown to a model later."""
    script = [Step(failure=UpstreamFailure(FailureKind.REJECTED, status=400)), Step(events=saying("back again"))]
    for desk in opened(tmp_path, script):
        failed = desk.reply("hello", thread="t", message_id="m")
        assert (failed["reply"], failed["fallback"]) == (FALLBACK, True)
        assert desk.reply("hello", thread="t", message_id="m")["reply"] == FALLBACK
        assert desk.turns(failed["conversation_id"])[-1]["fallback"] is True
        assert desk.reply("and now?", thread="t")["reply"] == "back again"
        assert [role for role, _ in desk.shown()] == ["system", "user"]


def test_nothing_that_may_see_it_gives_a_polite_reply(tmp_path: Path) -> None:
    for desk in opened(tmp_path, [Step(events=saying("leaked"))]):
        agent = {**AGENT, "name": "safe", "sensitivity": "confidential"}
        desk.junto.http.post("/agents", json=agent, headers=desk.junto.admin).raise_for_status()
        assert desk.reply("a secret", agent="safe")["fallback"] is True
        assert not desk.cloud.calls


def test_a_long_conversation_is_summarised(tmp_path: Path) -> None:
    """What does not fit is folded into a summary by a job of its own; the agent goes on knowing."""
    asked: list[Step] = [Step(events=saying("noted " + "n" * 3600)) for _ in range(3)]
    for desk in opened(tmp_path, [*asked, Step(events=saying("SUMMARY: likes tea")), Step(events=saying("yes, tea"))]):
        for number in range(3):
            desk.reply(f"fact {number} " + "f" * 3600, thread="t")
        assert desk.reply("what do I like?", thread="t")["reply"] == "yes, tea"
        assert "You keep the notes" in desk.shown(-2)[0][1]
        texts = [text for _, text in desk.shown()]
        assert "SUMMARY: likes tea" in texts[1]
        assert not any("fact 0" in text for text in texts)
        assert texts[-1].endswith("what do I like?")


def test_who_leaves_finds_the_reply_later(tmp_path: Path) -> None:
    for desk in opened(tmp_path, [Step(events=saying("slowly it comes"), pause=0.15)]):
        with pytest.raises(Exception, match="tim"):
            desk.junto.http.post(
                "/agents/front-desk/messages", json={"message": "hi", "thread": "t", "message_id": "m"}, timeout=0.2
            )
        assert desk.reply("hi", thread="t", message_id="m")["reply"] == "slowly it comes"
        assert len(desk.cloud.calls) == 1


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
