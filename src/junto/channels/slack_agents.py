"""Whose a Slack event is. Pure.

An agent says in `channels.slack` what is its own; what it leaves empty may be anything. The one that says more wins. No guess is
made between two that say the same much: they may be of different tenants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.channels.slack_events import Said
    from junto.ports.agents import Agent, SlackChannel


def agents_for(said: Said, agents: Iterable[Agent]) -> tuple[Agent, ...]:
    """The agents whose message this is: one as a rule; none where nobody is there for it, several where that is not clear."""
    there = [agent for agent in agents if agent.enabled and _fits(agent.channels.slack, said)]
    most = max((_weight(agent.channels.slack) for agent in there), default=None)
    return tuple(agent for agent in there if _weight(agent.channels.slack) == most)


def _fits(wanted: SlackChannel, said: Said) -> bool:
    return (
        wanted.enabled
        and wanted.team in {"", said.place.team}
        and wanted.app in {"", said.app}
        and (not wanted.channels or said.place.channel in wanted.channels)
    )


def _weight(wanted: SlackChannel) -> tuple[bool, bool, bool]:
    return bool(wanted.channels), bool(wanted.app), bool(wanted.team)
