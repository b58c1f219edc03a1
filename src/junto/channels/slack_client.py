"""Posts messages to Slack by its Web API: bounded in time, size and tries.

Speaks to the one address that the operator has named, and follows no redirect: the token goes nowhere else. Knows nothing of
agents and answers.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from junto.core.secret import Secret

SLACK_API: Final = "https://slack.com/api"
TRIES: Final = 4
_SECONDS = 10.0  # one try, from connecting to the last byte
_CONNECT_SECONDS = 5.0
_LARGEST_ANSWER = 256 * 1024
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0  # who is told to wait longer comes back later
_CONNECTIONS = 16
_DIGITS = re.compile(r"[0-9]{1,6}")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_TOO_MANY, _OK, _SERVER_ERRORS = 429, 200, range(500, 600)
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_UNREACHABLE_PLACE = frozenset(
    {
        "channel_not_found", "channel_is_archived", "is_archived", "not_in_channel", "thread_not_found", "cannot_reply_to_message",
        "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_locked", "user_not_found",
        "messages_tab_disabled", "is_inactive", "msg_too_long", "no_text", "invalid_arguments",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of a call; `failure` is "" when Slack has taken it, else a code of Slack's or words of ours.

    `passing`: it may go better in a moment. `hopeless`: it never will, for this message; what is neither waits for the operator
    (a token that was revoked, a scope that is missing).
    """

    failure: str = ""
    passing: bool = False
    retry_after: float | None = None

    @property
    def hopeless(self) -> bool:
        """Whether no later try can bring this message to its place."""
        return self.failure in _UNREACHABLE_PLACE


class SlackClient:
    """A workspace's side of the Web API. `jitter` gives numbers in [0, 1); `api_url` has no slash at its end."""

    def __init__(
        self,
        token: Secret,
        *,
        jitter: Callable[[], float],
        api_url: str = SLACK_API,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seconds: float = _SECONDS,
    ) -> None:
        self._token = token
        self._jitter = jitter
        self._api_url = api_url
        self._sleep = sleep
        self._seconds = seconds
        self._client: httpx2.AsyncClient | None = None

    async def post(self, channel: str, thread: str, text: str) -> Posted:
        """Put a message into a thread; what passes is tried again, TRIES times at most. Never raises but for cancellation.

        A try that broke off may have been taken by Slack all the same, which then shows the message twice.
        """
        message = {
            "channel": channel,
            "thread_ts": thread,
            "text": text,
            "mrkdwn": True,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,  # Slack fetches no address that a model has made up
            "unfurl_media": False,
        }
        posted = Posted(failure="not tried", passing=True)
        for attempt in range(TRIES):
            posted = await self._call("chat.postMessage", message)
            pause = self._pause(attempt, posted)
            if not posted.passing or pause > _LONGEST_PAUSE or attempt == TRIES - 1:
                break
            await self._sleep(pause)
        return posted

    async def check(self) -> Posted:
        """Whether Slack takes the token, asked once."""
        return await self._call("auth.test", {})

    async def close(self) -> None:
        """Let go of what is open; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _pause(self, attempt: int, posted: Posted) -> float:
        own = _FIRST_PAUSE * 2.0**attempt
        return max(own, posted.retry_after or 0.0) + own * self._jitter()

    async def _call(self, method: str, arguments: Mapping[str, Any]) -> Posted:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(method, msgspec.json.encode(arguments))
        except (TimeoutError, httpx2.TimeoutException):
            return Posted(failure=f"Slack did not answer within {self._seconds:g} s.", passing=True)
        except httpx2.TransportError as error:
            return Posted(failure=f"Slack could not be reached ({type(error).__name__}).", passing=True)

    async def _exchange(self, method: str, body: bytes) -> Posted:
        client = await self._opened()
        headers = {
            "authorization": f"Bearer {self._token.reveal()}",
            "content-type": "application/json; charset=utf-8",
            "accept-encoding": "identity",
            "user-agent": "junto",
        }
        async with client.stream("POST", f"{self._api_url}/{method}", content=body, headers=headers) as response:
            if response.status_code == _TOO_MANY:
                return Posted(failure="ratelimited", passing=True, retry_after=_retry_after(response))
            if response.status_code in _SERVER_ERRORS:
                return Posted(failure=f"Slack answered {response.status_code}.", passing=True)
            if response.status_code != _OK:
                return Posted(failure=f"Slack answered {response.status_code}.")
            return _read(await _read_bounded(response))

    async def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            context = await asyncio.to_thread(ssl.create_default_context)  # reading the trust store takes milliseconds
            if self._client is None:
                self._client = httpx2.AsyncClient(
                    verify=context,
                    trust_env=False,
                    follow_redirects=False,
                    limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=4),
                    timeout=httpx2.Timeout(self._seconds, connect=_CONNECT_SECONDS),
                )
        return self._client


async def _read_bounded(response: httpx2.Response) -> bytes:
    """The body, as far as an answer of Slack's can be long."""
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_ANSWER:
            break
    return b"".join(pieces)


def _read(body: bytes) -> Posted:
    """Slack says with 200 and `ok: false` that it refuses."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Posted(failure="Slack's answer could not be read.", passing=True)
    if isinstance(said, dict) and said.get("ok") is True:
        return Posted()
    code = said.get("error") if isinstance(said, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = "unknown_error"
    return Posted(failure=code, passing=code in _PASSING)


def _retry_after(response: httpx2.Response) -> float | None:
    written = response.headers.get("retry-after", "")
    return float(written) if _DIGITS.fullmatch(written) else None
