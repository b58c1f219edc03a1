"""What `junto doctor` says of the Slack app, asking a Slack that is there, is not, or says no."""

from __future__ import annotations

import pytest

from junto.cli.checkup.finding import Level
from junto.cli.checkup.slack import check_slack
from junto.core.secret import Secret
from junto.settings.model import SlackSettings
from tests.upstreams.slack_emulator import BOT_TOKEN, SlackEmulator

pytestmark = pytest.mark.anyio


def settings(slack: SlackEmulator, token: str = BOT_TOKEN) -> SlackSettings:
    return SlackSettings(bot_token=Secret(token), signing_secret=Secret("s"), api_url=slack.api_url)


async def test_without_a_token_it_is_off_and_nobody_is_asked() -> None:
    finding = await check_slack(SlackSettings())
    assert (finding.level, finding.message) == (Level.OK, "Off: SLACK_BOT_TOKEN is not set.")


async def test_with_a_good_token_it_is_on() -> None:
    with SlackEmulator() as slack:
        finding = await check_slack(settings(slack))
        assert slack.posts == []
    assert finding.level is Level.OK
    assert "/channels/slack/events" in finding.message


async def test_a_token_that_slack_does_not_take_is_wrong_and_not_shown() -> None:
    with SlackEmulator() as slack:
        finding = await check_slack(settings(slack, "xoxb-another"))
    assert finding.level is Level.WRONG
    assert "invalid_auth" in finding.message
    assert "xoxb" not in f"{finding.message} {finding.fix}"


async def test_a_slack_that_is_away_is_worth_a_note() -> None:
    with SlackEmulator() as slack:
        slack.stop()
        finding = await check_slack(settings(slack))
    assert finding.level is Level.NOTE
