"""The endpoint of Slack's events without a socket: what it answers, when, and what it hands over; and the way back."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from junto.channels.slack import LARGEST_EVENT, PATH, SlackEvents, SlackReplies
from junto.channels.slack_client import Posted, SlackClient
from junto.channels.slack_mrkdwn import posts
from junto.core.errors import BodyTooLarge, JuntoError, NotFound, Overloaded
from junto.core.secret import Secret
from junto.ports.agents import Agent, Attachment, Channel, ChannelMessage, Channels, SlackChannel
from tests.upstreams.slack_emulator import CHANNEL, PERSON, SIGNING_SECRET, TEAM, direct, mention, signed

if TYPE_CHECKING:
    from junto.channels.asgi import Message

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000
TS = "1699999999.000100"
FRONT_DESK = Agent(id="agt_1", tenant_id="acme", name="front-desk", channels=Channels(slack=SlackChannel(enabled=True)))


class At:
    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return NOW * 1000


class House:
    """The endpoint with everything around it played; `answers` are ASGI messages."""

    def __init__(self, *agents: Agent, body_limit: int = 32 * LARGEST_EVENT, within: float = 10.0) -> None:
        self.accepted: list[ChannelMessage] = []
        self.refused: list[tuple[int, str]] = []
        self.failure: Exception | None = None
        self.slow = False
        self.events = SlackEvents(
            Secret(SIGNING_SECRET),
            agents=lambda: agents or (FRONT_DESK,),
            accept=self._accept,
            body_limit=lambda: body_limit,
            make_id=lambda: "req_1",
            clock=At(),
            refusals=self,
            within=within,
        )

    def request_refused(self, *, status: int, code: str) -> None:
        self.refused.append((status, code))

    async def _accept(self, message: ChannelMessage) -> None:
        if self.slow:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.accepted.append(message)

    async def post(
        self, envelope: Any, *, at: int = NOW, secret: str = SIGNING_SECRET, **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        body, signing = signed(envelope, at=at, secret=secret)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**signing, "content-length": str(len(body)), **named}
        return await self.send(body, {name: value for name, value in sent.items() if value is not None})

    async def send(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        answers: list[Message] = []
        waiting = [{"type": "http.request", "body": body[:7], "more_body": True}]
        waiting.append({"type": "http.request", "body": body[7:], "more_body": False})

        async def receive() -> Message:
            return waiting.pop(0)

        async def send(message: Message) -> None:
            answers.append(message)

        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": PATH, "headers": raw}
        await self.events(scope, receive, send)
        start, end = answers
        return start["status"], end["body"], {name.decode(): value.decode() for name, value in start["headers"]}


async def test_a_signed_mention_is_written_down_and_then_acknowledged() -> None:
    house = House()
    status, body, headers = await house.post(mention("what is new?", TS, files=[{"name": "a.pdf"}]))
    assert (status, body, headers["x-junto-request-id"], headers["content-length"]) == (200, b"", "req_1", "0")
    assert house.accepted == [
        ChannelMessage(
            tenant_id="acme",
            agent="front-desk",
            channel=Channel.SLACK,
            thread=f"{TEAM}/{CHANNEL}/{TS}",
            message_id=f"{TEAM}/{CHANNEL}/{TS}",
            sender=PERSON,
            text="what is new?",
            attachments=(Attachment(name="a.pdf"),),
            sent_ms=1_699_999_999_000,
        )
    ]
    assert house.refused == []


async def test_the_challenge_is_sent_back() -> None:
    house = House()
    status, body, headers = await house.post({"type": "url_verification", "challenge": 'a"b'})
    assert (status, json.loads(body), headers["content-type"]) == (200, {"challenge": 'a"b'}, "application/json")


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "another"},
        {"at": NOW - 301},
        {"at": NOW + 301},
        {"x_slack_signature": None},
        {"x_slack_signature": "v0=" + "0" * 64},
        {"x_slack_request_timestamp": None},
        {"x_slack_request_timestamp": str(NOW - 1)},
    ],
)
async def test_what_is_not_lately_signed_by_slack_is_refused_without_a_word(changed: dict[str, Any]) -> None:
    house = House()
    status, body, headers = await house.post(mention("x", TS), **changed)
    assert (status, body) == (401, b"")
    assert set(headers) == {"x-junto-request-id", "content-length"}
    assert (house.accepted, house.refused) == ([], [(401, "invalid_signature")])


async def test_a_changed_body_is_not_what_was_signed() -> None:
    house = House()
    body, headers = signed(mention("pay 1", TS), at=NOW)
    status, said, _ = await house.send(body.replace(b"pay 1", b"pay 9"), headers)
    assert (status, said, house.accepted) == (401, b"", [])


@pytest.mark.parametrize("declared", [True, False])
async def test_an_oversized_body_is_refused_before_anything_else(*, declared: bool) -> None:
    house = House()
    changed: dict[str, Any] = {} if declared else {"content_length": None}
    status, _, headers = await house.post(b" " * (LARGEST_EVENT + 1), **changed)
    assert (status, headers["x-slack-no-retry"]) == (413, "1")
    assert house.refused == [(413, "body_too_large")]


async def test_the_operators_limit_holds_where_it_is_lower() -> None:
    status, _, _ = await House(body_limit=100).post(mention("x" * 200, TS))
    assert status == 413


async def test_nonsense_with_a_good_signature_is_a_400_that_does_not_come_again() -> None:
    house = House()
    status, body, headers = await house.post(b"{")
    assert (status, headers["x-slack-no-retry"]) == (400, "1")
    assert json.loads(body)["error"]["code"] == "malformed_json"


@pytest.mark.parametrize("event", [direct("x", TS, bot_id="B1"), direct("x", TS, subtype="message_changed"), {}])
async def test_what_is_ignored_is_acknowledged(event: Any) -> None:
    house = House()
    assert ((await house.post(event))[0], house.accepted) == (200, [])


@pytest.mark.parametrize("agents", [(Agent(id="a", tenant_id="t", name="a"),), (FRONT_DESK, FRONT_DESK)])
async def test_a_message_for_nobody_or_for_two_is_acknowledged_and_handed_to_none(agents: tuple[Agent, ...]) -> None:
    house = House(*agents)
    assert ((await house.post(mention("x", TS)))[0], house.accepted) == (200, [])


@pytest.mark.parametrize("failure", [Overloaded("The database is away."), RuntimeError("a bug with xoxb in it")])
async def test_what_could_not_be_written_down_is_not_acknowledged(failure: Exception) -> None:
    house = House()
    house.failure = failure
    status, body, headers = await house.post(mention("x", TS))
    assert status == 503
    assert b"xoxb" not in body
    assert "x-slack-no-retry" not in headers


async def test_an_acknowledgement_that_would_be_late_is_none() -> None:
    house = House(within=0.01)
    house.slow = True
    assert (await house.post(mention("x", TS)))[0] == 503


@pytest.mark.parametrize("failure", [NotFound("There is no such agent."), BodyTooLarge("Too long.")])
async def test_what_is_refused_for_good_need_not_come_again(failure: JuntoError) -> None:
    house = House()
    house.failure = failure
    assert (await house.post(mention("x", TS)))[0] == 200


async def test_a_caller_that_hangs_up_is_answered_nothing() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await House().events({"type": "http", "method": "POST", "path": PATH, "headers": []}, receive, send)
    assert sent == []


def test_an_empty_secret_makes_no_endpoint() -> None:
    with pytest.raises(ValueError, match="empty"):
        SlackEvents(
            Secret(""),
            agents=lambda: (),
            accept=None,  # type: ignore[arg-type]
            body_limit=lambda: 1,
            make_id=lambda: "",
            clock=At(),
            refusals=House(),
        )


class Client(SlackClient):
    """Keeps what is posted; `answers` are what becomes of it."""

    def __init__(self, *answers: Posted) -> None:
        super().__init__(Secret("xoxb"), jitter=lambda: 0.0)
        self.posted: list[tuple[str, str, str]] = []
        self._answers = list(answers)

    async def post(self, channel: str, thread: str, text: str) -> Posted:
        self.posted.append((channel, thread, text))
        return self._answers.pop(0) if self._answers else Posted()


def said(thread: str = f"{TEAM}/{CHANNEL}/{TS}") -> ChannelMessage:
    return ChannelMessage(
        tenant_id="acme", agent="a", channel=Channel.SLACK, thread=thread, message_id="1", sender="U1", text="hi"
    )


async def test_a_reply_goes_into_the_thread_in_slacks_own_form() -> None:
    client = Client()
    assert await SlackReplies(client).deliver(said(), "**Hello** <!channel>")
    assert client.posted == [(CHANNEL, TS, "*Hello* &lt;!channel&gt;")]


async def test_a_long_reply_is_posted_in_order_until_one_is_not_taken() -> None:
    client = Client(Posted(), Posted(failure="ratelimited", passing=True))
    replies, text = SlackReplies(client), "word " * 1_500
    assert not await replies.deliver(said(), text)
    assert len(client.posted) == 2
    assert await replies.deliver(said(), text)  # the rest of it
    assert [post[2] for post in client.posted] == [posts(text)[0], posts(text)[1], *posts(text)[1:]]


async def test_a_reply_that_takes_too_long_is_left_for_later() -> None:
    class Slow(Client):
        async def post(self, channel: str, thread: str, text: str) -> Posted:
            if self.posted:
                await asyncio.Event().wait()
            return await super().post(channel, thread, text)

    client = Slow()
    assert not await SlackReplies(client, within=0.01).deliver(said(), "word " * 1_500)
    assert len(client.posted) == 1


@pytest.mark.parametrize(("code", "done"), [("is_archived", True), ("token_revoked", False), ("ratelimited", False)])
async def test_only_what_can_never_arrive_is_given_up(code: str, *, done: bool) -> None:
    assert await SlackReplies(Client(Posted(failure=code))).deliver(said(), "Hello.") is done


async def test_a_reply_to_no_place_is_given_up() -> None:
    client = Client()
    assert await SlackReplies(client).deliver(said("nowhere"), "Hello.")
    assert client.posted == []
