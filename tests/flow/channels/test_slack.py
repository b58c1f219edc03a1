"""Slack end to end: signed events in, a scripted model behind an agent, replies in their threads at an emulated Slack."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest

from junto.bootstrap.agent_jobs import AgentOptions
from junto.bootstrap.jobs import JobOptions
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Script, Scripted
from tests.upstreams.slack_emulator import (
    BOT_TOKEN,
    CHANNEL,
    DIRECT,
    PERSON,
    SIGNING_SECRET,
    SlackEmulator,
    direct,
    mention,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

PATH = "/channels/slack/events"
SECRETS = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_SIGNING_SECRET": SIGNING_SECRET}
QUICK = AgentOptions(sweep=0.3, young=1.0)
FIRST, SECOND, THIRD = "1700000000.000100", "1700000010.000200", "1700000020.000300"


class Workspace:
    """A Slack, a model and a Junto between them; Junto can be started again on the same data."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.slack = SlackEmulator()
        self.model = OpenAIEmulator(Script(), models=("gpt-test",))
        self._folder = folder
        self._environ = {**SECRETS, **environ}
        self.junto: RunningJunto

    def __enter__(self) -> Self:
        self.slack.start()
        self.model.start()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.junto.__exit__(None, None, None)
        self.slack.stop()
        self.model.stop()

    def _start(self) -> None:
        backend = {"name": "rack", "provider": "openai", "url": self.model.base_url, "locality": "local", "slots": 4}
        config = {
            "backends": [{**backend, "api_key": "none", "models": ["gpt-test"]}],
            "channels": {"slack": {"api_url": self.slack.api_url}},
            "jobs": {"worker": "on"},
        }
        self.junto = RunningJunto(
            self._folder,
            config,
            environ=self._environ,
            jitter=lambda: 0.0,
            agent_options=QUICK,
            job_options=JobOptions(lease=3.0, sweep=0.1, grace=0.2),
        )
        self.junto.__enter__()

    def restart(self) -> None:
        self.junto.__exit__(None, None, None)
        self._start()

    def hire(self, name: str = "front-desk", **fields: Any) -> None:
        """Make an agent that answers in Slack."""
        agent = {"name": name, "model": "gpt-test", "channels": {"slack": {"enabled": True}}, **fields}
        response = self.junto.http.post("/agents", json=agent, headers=self.junto.admin)
        assert response.status_code == 201, response.text

    def tell(self, envelope: Any, *, at: int | None = None, headers: dict[str, str] | None = None) -> httpx2.Response:
        """Send an event as Slack does, by a public name."""
        body, signing = signed(envelope, at=at)
        sent = {"host": "junto.example.com", **signing, **(headers or {})}
        return self.junto.http.post(PATH, content=body, headers=sent)

    def told(self, envelope: Any) -> None:
        response = self.tell(envelope)
        assert (response.status_code, response.content) == (200, b""), response.text

    def questions(self) -> list[list[str]]:
        """What the model was shown each time: the texts of users and of the agent, without the system prompt."""
        asked = self.model.script.requests_to("/v1/chat/completions")
        return [[one["content"] for one in each.json["messages"] if one["role"] != "system"] for each in asked]


@pytest.fixture
def workspace(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Workspace]:
    with Workspace(tmp_path, fresh_database) as workspace:
        workspace.hire()
        yield workspace


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One for what nobody has to answer."""
    with Workspace(tmp_path_factory.mktemp("slack"), {}) as workspace:
        yield workspace


def test_a_thread_is_a_conversation_of_three_turns_that_is_remembered(workspace: Workspace) -> None:
    slack = workspace.slack
    workspace.model.script.plan(
        Scripted(text="Hello **Ada**."), Scripted(text="You are Ada."), Scripted(text="Twice, <!channel>.")
    )
    workspace.told(mention("I am Ada.", FIRST))
    slack.wait_posts(1)
    workspace.told(mention("Who am I?", SECOND, thread=FIRST))
    slack.wait_posts(2)
    workspace.told(mention("How often did you say that?", THIRD, thread=FIRST))
    slack.wait_posts(3)
    assert slack.texts(FIRST) == ["Hello *Ada*.", "You are Ada.", "Twice, &lt;!channel&gt;."]
    assert {post["channel"] for post in slack.posts} == {CHANNEL}
    last = "\n".join(workspace.questions()[-1])
    order = [last.index(text) for text in ("I am Ada.", "Hello **Ada**.", "Who am I?", "You are Ada.", "How often")]
    assert order == sorted(order)


def test_another_thread_and_a_direct_message_are_other_conversations(workspace: Workspace) -> None:
    workspace.model.script.always(Scripted(text="Noted."))
    workspace.told(mention("the code is 1234", FIRST))
    workspace.slack.wait_posts(1)
    workspace.told(mention("what is the code?", SECOND))
    workspace.slack.wait_posts(2)
    workspace.told(direct("what is the code?", THIRD))
    workspace.slack.wait_posts(3)
    assert [(post["channel"], post["thread_ts"]) for post in workspace.slack.posts] == [
        (CHANNEL, FIRST),
        (CHANNEL, SECOND),
        (DIRECT, THIRD),
    ]
    assert ["1234" in "\n".join(asked) for asked in workspace.questions()] == [True, False, False]


def test_what_slack_repeats_is_answered_once(workspace: Workspace) -> None:
    workspace.model.script.always(Scripted(text="Once.", delay=0.2))
    envelopes = [mention("again?", FIRST, event_id=f"Ev{n % 2}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(workspace.tell, envelopes))
    assert {answer.status_code for answer in answers} == {200}
    workspace.slack.wait_posts(1)
    workspace.told(mention("again?", FIRST, event_id="Ev9"))
    workspace.told(mention("and now?", SECOND))  # whatever the repetition would have caused has happened by then
    workspace.slack.wait_posts(2)
    assert [post["thread_ts"] for post in workspace.slack.posts] == [FIRST, SECOND]
    assert len(workspace.questions()) == 2


def test_a_reply_that_slack_did_not_take_is_delivered_after_a_restart(workspace: Workspace) -> None:
    workspace.model.script.always(Scripted(text="At last."))
    workspace.slack.plan("token_revoked")
    workspace.told(mention("hello", FIRST))
    workspace.slack.wait_calls(1)
    workspace.restart()
    workspace.slack.wait_posts(1, within=60)
    assert workspace.slack.texts(FIRST) == ["At last."]
    assert len(workspace.questions()) == 1


def test_a_message_that_was_acknowledged_is_answered_once_by_the_next_process(workspace: Workspace) -> None:
    gate = Gate()
    workspace.model.script.plan(Scripted(text="Never heard.", gate=gate))
    workspace.model.script.always(Scripted(text="Here I am."))
    workspace.told(mention("are you there?", FIRST))
    workspace.model.script.wait_arrived(1)
    workspace.restart()
    workspace.told(mention("are you there?", FIRST))  # Slack comes again as well
    workspace.slack.wait_posts(1, within=60)
    workspace.told(mention("good", SECOND))
    workspace.slack.wait_posts(2)
    gate.open()
    assert [post["thread_ts"] for post in workspace.slack.posts] == [FIRST, SECOND]
    assert workspace.slack.texts(FIRST) == ["Here I am."]


def test_when_every_model_fails_a_polite_sentence_is_said(workspace: Workspace) -> None:
    workspace.model.script.always(Scripted(fail=Fail(status=400)))
    workspace.told(mention("hello", FIRST))
    [post] = workspace.slack.wait_posts(1, within=60)
    assert post["thread_ts"] == FIRST
    assert post["text"]


def test_nobody_answers_a_bot_an_edit_or_what_was_not_said_to_the_app(workspace: Workspace) -> None:
    workspace.model.script.always(Scripted(text="Yes?"))
    for event in (
        mention("x", FIRST, bot_id="B1"),
        direct("x", FIRST, subtype="message_changed", message={"text": "y"}),
        direct("x", FIRST, subtype="message_deleted"),
        direct("x", FIRST, channel_type="channel"),
    ):
        workspace.told(event)
    workspace.told(direct("hello", SECOND))
    workspace.slack.wait_posts(1)
    assert [post["thread_ts"] for post in workspace.slack.posts] == [SECOND]


def test_the_address_is_verified(idle: Workspace) -> None:
    response = idle.tell(
        {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
    )
    assert response.json() == {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": int(time.time()) - 3_600},
        {"at": int(time.time()) + 3_600},
        {"headers": {"x-slack-signature": "v0=" + "0" * 64}},
        {"headers": {"x-slack-signature": ""}},
        {"headers": {"x-slack-request-timestamp": "0"}},
    ],
)
def test_what_slack_has_not_lately_signed_is_a_401_without_detail(idle: Workspace, wrong: dict[str, Any]) -> None:
    response = idle.tell(mention("x", FIRST), **wrong)
    assert (response.status_code, response.content) == (401, b"")
    assert "www-authenticate" not in response.headers
    assert response.headers["x-junto-request-id"].startswith("req_")


def test_who_signs_nothing_learns_nothing_either(idle: Workspace) -> None:
    response = idle.junto.http.post(PATH, json=mention("x", FIRST))
    assert (response.status_code, response.content) == (401, b"")


def test_an_oversized_event_is_a_413(idle: Workspace) -> None:
    assert idle.tell(mention("x" * 1_100_000, FIRST)).status_code == 413


def test_nonsense_is_a_400(idle: Workspace) -> None:
    assert idle.tell(b"not json").status_code == 400


def test_other_methods_are_not_served(idle: Workspace) -> None:
    assert idle.junto.http.get(PATH).status_code == 405


def test_without_a_token_there_is_no_such_path(tmp_path: Path) -> None:
    with RunningJunto(tmp_path, {"backends": []}, environ={"SLACK_SIGNING_SECRET": SIGNING_SECRET}) as junto:
        body, headers = signed(mention("x", FIRST))
        assert junto.http.post(PATH, content=body, headers=headers).status_code == 404


def test_neither_the_words_nor_the_secrets_are_logged(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    workspace.model.script.always(Scripted(text="the words of the model"))
    workspace.slack.plan("token_revoked")
    workspace.told(mention("the words of a person", FIRST))
    workspace.slack.wait_calls(1)
    workspace.tell(mention("the words of a person", FIRST), headers={"x-slack-signature": "v0=0"})
    out = "".join(capfd.readouterr())
    for hidden in ("the words of", BOT_TOKEN, SIGNING_SECRET, PERSON):
        assert hidden not in out
