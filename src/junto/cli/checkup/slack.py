"""Looks at the Slack app: whether it is on, and whether Slack takes its token. Posts nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from junto.channels.slack import PATH
from junto.channels.slack_client import SlackClient
from junto.cli.checkup.finding import note, ok, wrong

if TYPE_CHECKING:
    from junto.cli.checkup.finding import Finding
    from junto.settings.model import SlackSettings

_PATIENCE: Final = 3.0  # seconds


async def check_slack(settings: SlackSettings) -> Finding:
    """Off and why, or on and whether the token is good; a token without a secret has been refused before."""
    if not settings.bot_token:
        return ok("slack", "Off: SLACK_BOT_TOKEN is not set.")
    client = SlackClient(settings.bot_token, jitter=random.random, api_url=settings.api_url, seconds=_PATIENCE)
    try:
        answer = await client.check()
    finally:
        await client.close()
    if not answer.failure:
        return ok("slack", f"On: Slack takes the token; events are taken at {PATH}.")
    if answer.passing:
        fix = f"Check that this machine reaches {settings.api_url}; replies wait until it does."
        return note("slack", f"On, but whether the token is good could not be asked: {answer.failure}", fix)
    fix = "Install the app again and set SLACK_BOT_TOKEN to its bot token: docs/slack.md."
    return wrong("slack", f"Slack does not take the token: {answer.failure}.", fix)
