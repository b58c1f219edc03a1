"""The Slack app in the file and in the environment: off, on, or refused."""

from __future__ import annotations

import pytest

from junto.core.secret import MASK, Secret
from tests.unit.settings.loading import errors, places, settings

BOTH = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s3cret"}


@pytest.mark.parametrize(
    "environ", [{}, {"SLACK_BOT_TOKEN": "", "SLACK_SIGNING_SECRET": ""}, {"SLACK_SIGNING_SECRET": "x"}]
)
def test_without_a_token_it_is_off(environ: dict[str, str]) -> None:
    assert not settings("", environ).channels.slack.bot_token


def test_the_environment_turns_it_on_and_beats_the_file() -> None:
    text = "channels: {slack: {bot_token: old, api_url: 'https://slack-gov.com/api/'}}"
    slack = settings(text, BOTH).channels.slack
    assert (slack.bot_token, slack.signing_secret) == (Secret("xoxb-1"), Secret("s3cret"))
    assert slack.api_url == "https://slack-gov.com/api"


@pytest.mark.parametrize("text", ["", "channels:", "channels: {slack: }"])
def test_an_empty_section_is_none(text: str) -> None:
    assert settings(text, BOTH).channels.slack.bot_token == Secret("xoxb-1")


@pytest.mark.parametrize("secret", [{}, {"SLACK_SIGNING_SECRET": ""}, {"SLACK_SIGNING_SECRET": "  "}])
def test_a_token_without_a_secret_is_refused(secret: dict[str, str]) -> None:
    """Whoever can guess nothing could sign."""
    found = errors("", {"SLACK_BOT_TOKEN": "xoxb-1", **secret})
    assert ["SLACK_SIGNING_SECRET" in f"{one.path} {one.message}" for one in found] == [True]


def test_an_empty_secret_of_the_file_is_refused_with_its_line() -> None:
    text = "channels:\n  slack:\n    bot_token: xoxb-1\n    signing_secret: ''\n"
    assert places(errors(text)) == [("channels.slack.signing_secret", 4)]


def test_what_is_no_section_is_told_as_such() -> None:
    assert places(errors("channels: 7", BOTH)) == [("channels", 1)]


def test_neither_is_ever_shown() -> None:
    shown = settings("", BOTH).redacted()["channels"]["slack"]
    assert (shown["bot_token"], shown["signing_secret"]) == (MASK, MASK)
