"""Slack as an app sees it, on loopback: it takes messages for a token, and its events are made and signed here."""

from __future__ import annotations

import json
import time
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

from junto.channels.slack_signature import signature
from junto.core.secret import Secret
from tests.upstreams.received import POLL
from tests.upstreams.server import LoopbackServer

if TYPE_CHECKING:
    from tests.upstreams.connection import Exchange

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BOT_TOKEN = "xoxb-a-token-for-tests-only"
TEAM, APP, BOT, PERSON, CHANNEL, DIRECT = "T0TEAM", "A0APP", "U0BOT", "U0PERSON", "C0CHANNEL", "D0DIRECT"


class SlackEmulator(LoopbackServer):
    """Serves `/api/chat.postMessage` and `/api/auth.test`; `posts` are the messages it has taken, in order.

    `plan` lists what the next calls are answered instead: a code of an error, or a status with headers.
    """

    name = "slack"

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.posts: list[dict[str, Any]] = []
        self._planned: deque[str | tuple[int, dict[str, str]]] = deque()
        self._numbers = count(1)

    @property
    def api_url(self) -> str:
        """The address for `channels.slack.api_url`."""
        return f"{self.url}/api"

    @property
    def calls(self) -> int:
        """How many messages were sent here, taken or not."""
        return len(self.script.requests_to("/api/chat.postMessage"))

    def plan(self, *answers: str | tuple[int, dict[str, str]]) -> None:
        """Refuse the next calls in these ways, one after the other."""
        self._planned.extend(answers)

    def texts(self, thread: str | None = None) -> list[str]:
        """What was said, in one thread or in all."""
        return [post["text"] for post in list(self.posts) if thread in {None, post["thread_ts"]}]

    def wait_posts(self, count: int, within: float = 10.0) -> list[dict[str, Any]]:
        """Block until so many messages were taken; AssertionError when late."""
        return self._wait(lambda: len(self.posts) >= count, f"{count} posts", within)

    def wait_calls(self, count: int, within: float = 10.0) -> list[dict[str, Any]]:
        """Block until so many were sent; AssertionError when late."""
        return self._wait(lambda: self.calls >= count, f"{count} calls", within)

    def _wait(self, holds: Any, what: str, within: float) -> list[dict[str, Any]]:
        deadline = time.monotonic() + within
        while not holds():
            assert time.monotonic() < deadline, f"no {what} within {within} s: {self.posts}"
            time.sleep(POLL)
        return list(self.posts)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one call of the Web API."""
        request = exchange.received
        if self._planned:
            await self._refuse(exchange, self._planned.popleft())
        elif request.headers.get("authorization") != f"Bearer {BOT_TOKEN}":
            await exchange.send_json(200, {"ok": False, "error": "invalid_auth"})
        elif request.path == "/api/auth.test":
            await exchange.send_json(200, {"ok": True, "team_id": TEAM, "user_id": BOT})
        elif request.path == "/api/chat.postMessage":
            message = request.json
            self.posts.append(message)
            ts = f"1800000000.{next(self._numbers):06d}"
            answer = {"ok": True, "channel": message["channel"], "ts": ts, "message": {"text": message["text"]}}
            await exchange.send_json(200, answer)
        else:
            await exchange.send_json(200, {"ok": False, "error": "unknown_method"})

    async def _refuse(self, exchange: Exchange, planned: str | tuple[int, dict[str, str]]) -> None:
        if isinstance(planned, str):
            await exchange.send_json(200, {"ok": False, "error": planned})
        else:
            await exchange.send(planned[0], b"", "text/plain", planned[1])


def mention(text: str, ts: str, /, *, thread: str | None = None, event_id: str = "Ev0", **event: Any) -> dict[str, Any]:
    """The envelope of somebody mentioning the app in a channel; `event` adds to the event or replaces what is in it."""
    said = {"type": "app_mention", "user": PERSON, "text": f"<@{BOT}> {text}", "ts": ts, "channel": CHANNEL}
    return _envelope({**said, "event_ts": ts, **({"thread_ts": thread} if thread else {}), **event}, event_id)


def direct(text: str, ts: str, /, *, thread: str | None = None, event_id: str = "Ev0", **event: Any) -> dict[str, Any]:
    """The envelope of somebody writing to the app alone."""
    said = {"type": "message", "channel_type": "im", "user": PERSON, "text": text, "ts": ts, "channel": DIRECT}
    return _envelope({**said, "event_ts": ts, **({"thread_ts": thread} if thread else {}), **event}, event_id)


def signed(envelope: Any, *, at: int | None = None, secret: str = SIGNING_SECRET) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a request as Slack signs it; `at` is seconds since the epoch, now by default."""
    body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    timestamp = str(int(time.time()) if at is None else at)
    return body, {
        "content-type": "application/json",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": signature(Secret(secret), timestamp.encode(), body).decode(),
    }


def _envelope(event: dict[str, Any], event_id: str) -> dict[str, Any]:
    return {
        "token": "deprecated",
        "team_id": TEAM,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": 1_700_000_000,
        "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}],
        "is_ext_shared_channel": False,
    }
