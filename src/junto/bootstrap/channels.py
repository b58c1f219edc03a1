"""Assembles channels: which of them are on, the way back for replies, and the endpoints that the web edge serves for them.

A channel's own modules are imported when it is on: they and the HTTP library behind them would be megabytes for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from junto.ports.agents import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AsyncExitStack

    from junto.bootstrap.node import Given, Node
    from junto.channels.asgi import App
    from junto.channels.slack import SlackReplies
    from junto.core.secret import Secret
    from junto.ports.agents import ChannelMessage
    from junto.settings.model import Settings, SlackSettings

    type Deliver = Callable[[ChannelMessage, str], Awaitable[bool]]
    type Accept = Callable[[ChannelMessage], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChannels:
    """The channels that are on. `deliver` is what the handler of messages is made with; `endpoints` come after it."""

    deliver: Mapping[Channel, Deliver]
    signing_secret: Secret | None

    def endpoints(self, node: Node, given: Given, accept: Accept, make_id: Callable[[], str]) -> dict[str, App]:
        """What to serve, by path; `accept` is the handler's."""
        if self.signing_secret is None:
            return {}
        from junto.channels.slack import PATH, SlackEvents  # noqa: PLC0415

        slack = SlackEvents(
            self.signing_secret,
            agents=node.agents.shelf.all,
            accept=accept,
            body_limit=lambda: node.operation.body_limit,
            make_id=make_id,
            clock=given.clock,
            refusals=node.observing.observer,
        )
        return {PATH: slack}


def open_channels(settings: Settings, given: Given, stack: AsyncExitStack) -> OpenChannels:
    """The way back of each channel that is on, closed with the stack; the log says once which are not, and why."""
    slack = settings.channels.slack
    log = structlog.get_logger()
    if not slack.bot_token or not slack.signing_secret:
        log.info("slack_off", reason="SLACK_BOT_TOKEN is not set" if not slack.bot_token else "no signing secret")
        return OpenChannels(deliver={}, signing_secret=None)
    from junto.channels.slack import PATH  # noqa: PLC0415

    log.info("slack_on", path=PATH)
    replies = _slack_replies(slack, slack.bot_token, given)
    stack.push_async_callback(replies.close)
    return OpenChannels(deliver={Channel.SLACK: replies.deliver}, signing_secret=slack.signing_secret)


def _slack_replies(slack: SlackSettings, token: Secret, given: Given) -> SlackReplies:
    from junto.channels.slack import SlackReplies  # noqa: PLC0415
    from junto.channels.slack_client import SlackClient  # noqa: PLC0415

    return SlackReplies(SlackClient(token, jitter=given.jitter, api_url=slack.api_url))
