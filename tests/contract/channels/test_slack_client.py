"""Posting to Slack over a real socket: what is sent, what is tried again, and what is given up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from junto.channels.slack_client import TRIES, Posted, SlackClient
from junto.core.secret import Secret
from tests.upstreams import Hang, RawServer
from tests.upstreams.slack_emulator import BOT_TOKEN, CHANNEL, SlackEmulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

THREAD = "1700000000.000100"


class Caller:
    """A client whose pauses are noted and not waited for."""

    def __init__(self, api_url: str, *, token: str = BOT_TOKEN, seconds: float = 10.0) -> None:
        self.pauses: list[float] = []
        self.client = SlackClient(
            Secret(token), jitter=lambda: 0.0, api_url=api_url, sleep=self._sleep, seconds=seconds
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def post(self, text: str = "Hello.") -> Posted:
        return await self.client.post(CHANNEL, THREAD, text)


@pytest.fixture
def slack() -> Iterator[SlackEmulator]:
    with SlackEmulator() as slack:
        yield slack


@contextlib.asynccontextmanager
async def calling(api_url: str, *, token: str = BOT_TOKEN, seconds: float = 10.0) -> AsyncIterator[Caller]:
    caller = Caller(api_url, token=token, seconds=seconds)
    try:
        yield caller
    finally:
        await caller.client.close()
        await caller.client.close()


async def test_a_message_goes_into_its_thread_and_makes_slack_fetch_nothing(slack: SlackEmulator) -> None:
    async with calling(slack.api_url) as caller:
        assert await caller.post("Hello, *you*.") == Posted()
    assert slack.posts == [
        {
            "channel": CHANNEL,
            "thread_ts": THREAD,
            "text": "Hello, *you*.",
            "mrkdwn": True,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
    ]
    assert caller.pauses == []


async def test_slack_is_waited_for_as_long_as_it_asks(slack: SlackEmulator) -> None:
    slack.plan((429, {"retry-after": "7"}), "ratelimited")
    async with calling(slack.api_url) as caller:
        assert await caller.post() == Posted()
    assert caller.pauses == [7.0, 2.0]
    assert slack.texts() == ["Hello."]


async def test_who_is_asked_to_wait_too_long_leaves_it_for_later(slack: SlackEmulator) -> None:
    slack.plan((429, {"retry-after": "600"}))
    async with calling(slack.api_url) as caller:
        posted = await caller.post()
    assert (posted.failure, posted.passing, posted.retry_after) == ("ratelimited", True, 600.0)
    assert (caller.pauses, slack.calls) == ([], 1)


async def test_what_passes_is_tried_a_few_times_with_growing_pauses(slack: SlackEmulator) -> None:
    slack.plan(*[(503, {})] * TRIES)
    async with calling(slack.api_url) as caller:
        posted = await caller.post()
    assert (posted.failure, posted.passing, posted.hopeless) == ("Slack answered 503.", True, False)
    assert (slack.calls, caller.pauses) == (TRIES, [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("code", "hopeless"), [("channel_not_found", True), ("not_in_channel", True), ("token_revoked", False)]
)
async def test_a_refusal_is_not_tried_again(slack: SlackEmulator, code: str, *, hopeless: bool) -> None:
    slack.plan(code)
    async with calling(slack.api_url) as caller:
        posted = await caller.post()
    assert (posted.failure, posted.passing, posted.hopeless) == (code, False, hopeless)
    assert slack.calls == 1


async def test_a_wrong_token_is_told_and_shown_nowhere(slack: SlackEmulator) -> None:
    async with calling(slack.api_url, token="xoxb-wrong") as caller:
        posted = await caller.client.check()
        assert (posted.failure, posted.hopeless) == ("invalid_auth", False)
        assert "xoxb" not in repr(posted)
    async with calling(slack.api_url) as caller:
        assert await caller.client.check() == Posted()


async def test_a_redirect_takes_the_token_nowhere(slack: SlackEmulator) -> None:
    slack.plan((307, {"location": f"{slack.api_url}/chat.postMessage"}))
    async with calling(slack.api_url) as caller:
        assert await caller.post() == Posted(failure="Slack answered 307.")
    assert (slack.calls, slack.posts) == (1, [])


async def test_a_slack_that_is_away_is_tried_again(slack: SlackEmulator) -> None:
    slack.stop()
    async with calling(slack.api_url) as caller:
        posted = await caller.post()
    assert posted.passing
    assert "could not be reached" in posted.failure
    assert len(caller.pauses) == TRIES - 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"ok": "yes"}',
        b'{"ok": false}',
        b'{"ok": false, "error": "<b>"}',
        b"\xff",
        b"[" * 90_000,
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_failure(answer: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(answer)
    with RawServer([head + answer]) as server:
        async with calling(server.url) as caller:
            posted = await caller.post()
    assert posted.failure in {"Slack's answer could not be read.", "unknown_error"}


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    flood = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" + b'"' * 600_000
    with RawServer([flood, Hang()]) as server:
        async with calling(server.url) as caller:
            posted = await caller.post()
    assert posted == Posted(failure="Slack's answer could not be read.", passing=True)


async def test_a_silent_slack_is_waited_for_within_bounds() -> None:
    with RawServer([Hang()]) as server:
        async with calling(server.url, seconds=0.05) as caller:
            posted = await asyncio.wait_for(caller.post(), 30)
    assert posted == Posted(failure="Slack did not answer within 0.05 s.", passing=True)
