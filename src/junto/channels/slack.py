"""Slack as a channel: the endpoint of the Events API, and the way back for replies.

Owns what Slack is answered, and when: a message is acknowledged once it is written down, and never before. What an agent says to
it is the handler's business, which calls `SlackReplies.deliver` for it, now or after a restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from junto.channels.asgi import CallerGone, header, read_body, send_whole
from junto.channels.slack_agents import agents_for
from junto.channels.slack_client import Posted
from junto.channels.slack_events import Challenge, Ignored, Said, parse_event, place_of
from junto.channels.slack_mrkdwn import posts
from junto.channels.slack_signature import SIGNATURE, TIMESTAMP, is_signed
from junto.core.errors import InvalidRequest, JuntoError, Overloaded, Unauthenticated
from junto.dialects.native.errors import render_error
from junto.ports.agents import Attachment, Channel, ChannelMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from junto.channels.asgi import Receive, Scope, Send
    from junto.channels.slack_client import SlackClient
    from junto.core.secret import Secret
    from junto.ports.agents import Agent
    from junto.ports.clock import Clock
    from junto.ports.observer import RefusalObserver

PATH: Final = "/channels/slack/events"
LARGEST_EVENT: Final = 1024 * 1024
ACKNOWLEDGED_WITHIN: Final = 2.5  # seconds; after 3 Slack has hung up and comes again
DELIVERED_WITHIN: Final = 45.0  # seconds; other nodes take a reply for forgotten after a minute, and bring it too
_MOST_BEGUN = 1_000
_JSON = (b"content-type", b"application/json")
_DO_NOT_COME_BACK = (b"x-slack-no-retry", b"1")


class NotSigned(Unauthenticated):
    """The signature is missing, wrong or too old; the answer does not say which."""

    code = "invalid_signature"


class SlackEvents:
    """The ASGI application behind PATH. `accept` returns when the message is written down, and sees to its reply afterwards.

    `agents` gives those that are enabled; `body_limit` is the operator's, of which LARGEST_EVENT is taken at most.
    """

    def __init__(
        self,
        signing_secret: Secret,
        *,
        agents: Callable[[], Iterable[Agent]],
        accept: Callable[[ChannelMessage], Awaitable[object]],
        body_limit: Callable[[], int],
        make_id: Callable[[], str],
        clock: Clock,
        refusals: RefusalObserver,
        within: float = ACKNOWLEDGED_WITHIN,
    ) -> None:
        if not signing_secret:
            raise ValueError("With an empty signing secret anybody could sign events.")
        self._signing_secret = signing_secret
        self._agents = agents
        self._accept = accept
        self._body_limit = body_limit
        self._make_id = make_id
        self._clock = clock
        self._refusals = refusals
        self._within = within
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"x-junto-request-id", self._make_id().encode())]
        try:
            challenge = await self._take(await self._read(scope, receive))
        except CallerGone:
            return
        except NotSigned as error:
            self._refusals.request_refused(status=error.status, code=error.code)
            await send_whole(send, error.status, b"", head)
        except JuntoError as error:
            self._refusals.request_refused(status=error.status, code=error.code)
            head += [_JSON, _DO_NOT_COME_BACK] if isinstance(error, InvalidRequest) else [_JSON]
            await send_whole(send, error.status, render_error(error), head)
        else:
            body = b"" if challenge is None else msgspec.json.encode({"challenge": challenge.value})
            await send_whole(send, 200, body, [*head, _JSON] if body else head)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request that comes from Slack."""
        body = await read_body(scope, receive, min(LARGEST_EVENT, self._body_limit()))
        timestamp, signature = header(scope, TIMESTAMP), header(scope, SIGNATURE)
        now = self._clock.wall_ms() // 1000
        if not is_signed(self._signing_secret, timestamp, signature, body, now=now):
            raise NotSigned("The signature is not Slack's.")
        return body

    async def _take(self, body: bytes) -> Challenge | None:
        event = parse_event(body)
        if isinstance(event, Challenge):
            return event
        if isinstance(event, Ignored):
            self._log.debug("slack_ignored", reason=event.reason)
        else:
            await self._hand_over(event)
        return None

    async def _hand_over(self, said: Said) -> None:
        """Have it written down. What the handler refuses for good is acknowledged: it would be refused again."""
        agents = agents_for(said, self._agents())
        if len(agents) != 1:
            names = [f"{agent.tenant_id}/{agent.name}" for agent in agents]
            event = "slack_ambiguous" if names else "slack_nobody"
            self._log.warning(event, team=said.place.team, channel=said.place.channel, app=said.app, agents=names)
            return
        try:
            async with asyncio.timeout(self._within):
                await self._accept(_message(said, agents[0]))
        except InvalidRequest as refused:
            self._log.warning("slack_refused", agent=agents[0].name, code=refused.code, reason=refused.message)
        except JuntoError:
            raise
        except TimeoutError:
            raise Overloaded("The message could not be written down in time.") from None
        except Exception as error:
            self._log.exception("slack_failed", agent=agents[0].name)
            raise Overloaded("The message could not be written down.") from error


class SlackReplies:
    """Brings replies back to where the message was said. Of one that was taken in part, this process posts the rest later."""

    def __init__(self, client: SlackClient, *, within: float = DELIVERED_WITHIN) -> None:
        self._client = client
        self._within = within
        self._begun: dict[tuple[str, str, str], int] = {}  # how many posts of an unfinished reply Slack has taken
        self._log = structlog.get_logger()

    async def deliver(self, message: ChannelMessage, text: str) -> bool:
        """Post the reply to a message into its thread; whether that is done with.

        False: to be tried again later. What can never arrive is done with too, and told in the log.
        """
        place = place_of(message.thread)
        if place is None:
            self._log.warning("slack_undeliverable", agent=message.agent, reason="no place")
            return True
        key = (message.tenant_id, message.agent, message.message_id)
        parts, taken = posts(text), self._begun.pop(key, 0)
        posted = Posted()
        try:
            async with asyncio.timeout(self._within):
                while taken < len(parts) and not posted.failure:
                    posted = await self._client.post(place.channel, place.thread, parts[taken])
                    taken += not posted.failure
        except TimeoutError:
            posted = Posted(failure=f"Not all of it was taken within {self._within:g} s.", passing=True)
        if not posted.failure:
            return True
        event = "slack_undeliverable" if posted.hopeless else "slack_undelivered"
        self._log.warning(event, agent=message.agent, channel=place.channel, reason=posted.failure)
        if taken and not posted.hopeless:
            self._keep(key, taken)
        return posted.hopeless

    async def close(self) -> None:
        """Let go of what is open; safe to call twice."""
        await self._client.close()

    def _keep(self, key: tuple[str, str, str], taken: int) -> None:
        self._begun[key] = taken
        if len(self._begun) > _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]


def _message(said: Said, agent: Agent) -> ChannelMessage:
    return ChannelMessage(
        tenant_id=agent.tenant_id,
        agent=agent.name,
        channel=Channel.SLACK,
        thread=said.place.key,
        message_id=said.id,
        sender=said.user,
        text=said.text,
        attachments=tuple(Attachment(name=name) for name in said.files),
        sent_ms=said.sent_ms,
    )
