"""Which agent a Slack event is for."""

from __future__ import annotations

import pytest

from junto.channels.slack_agents import agents_for
from junto.channels.slack_events import Place, Said
from junto.ports.agents import Agent, Channels, SlackChannel

SAID = Said(
    id="T1/C1/1.000000",
    place=Place("T1", "C1", "1.000000"),
    app="A1",
    user="U1",
    text="hi",
    sent_ms=1_000,
    is_direct=False,
)


def agent(name: str, *, enabled: bool = True, tenant: str = "default", **slack: object) -> Agent:
    channel = SlackChannel(**{"enabled": True, **slack})  # type: ignore[arg-type]
    return Agent(id=name, tenant_id=tenant, name=name, enabled=enabled, channels=Channels(slack=channel))


@pytest.mark.parametrize(
    ("agents", "chosen"),
    [
        ([], []),
        ([agent("any")], ["any"]),
        ([agent("off", enabled=False)], []),
        ([Agent(id="x", tenant_id="default", name="not-in-slack")], []),
        ([agent("elsewhere", team="T2"), agent("other-app", app="A2"), agent("other-room", channels=("C2",))], []),
        ([agent("any"), agent("team", team="T1")], ["team"]),
        ([agent("team", team="T1"), agent("app", app="A1")], ["app"]),
        ([agent("app", team="T1", app="A1"), agent("room", channels=("C2", "C1"))], ["room"]),
        ([agent("room", channels=("C1",)), agent("room-of-team", channels=("C1",), team="T1")], ["room-of-team"]),
        ([agent("one"), agent("two", tenant="acme")], ["one", "two"]),
    ],
)
def test_the_agent_that_says_more_of_an_event_is_asked(agents: list[Agent], chosen: list[str]) -> None:
    assert [one.name for one in agents_for(SAID, agents)] == chosen
