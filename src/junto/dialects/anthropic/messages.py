"""Anthropic's conversation and the core's: system prompt, turns that alternate, tool results inside user turns."""

from __future__ import annotations

from itertools import groupby, takewhile
from typing import Any

import msgspec

from junto.core.chat import Message, Part, Role, Text, ToolResult
from junto.core.errors import InvalidField
from junto.dialects.anthropic.blocks import Content, ToolIds, parse_content, plain, render_content, render_text


class WireTurn(msgspec.Struct):
    """One message."""

    role: str
    content: Content


_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


def parse_conversation(system: Content | None, turns: list[WireTurn]) -> tuple[Message, ...]:
    """The conversation; a user turn with tool results becomes several messages, in the order of its blocks."""
    messages: list[Message] = []
    prompt = parse_content(system, "system")
    if prompt:
        messages.append(Message(Role.SYSTEM, prompt))
    for position, turn in enumerate(turns):
        role = _ROLES.get(turn.role)
        if role is None:
            path = f"messages[{position}].role"
            raise InvalidField(f"{turn.role[:40]!r} is not a role: use user or assistant.", param=path)
        messages += _split(role, parse_content(turn.content, f"messages[{position}].content"))
    return tuple(messages)


def render_conversation(messages: tuple[Message, ...]) -> tuple[str | list[dict[str, Any]], list[dict[str, Any]]]:
    """The `system` and the `messages`. Consecutive turns of one side are merged, tool results standing first.

    System messages at the beginning are the system prompt; later ones become text of the user's turn where they stand, since not
    every model takes them in between and moving them would change what was said when.
    """
    leading = list(takewhile(lambda message: message.role is Role.SYSTEM, messages))
    prompt = [
        block
        for message in leading
        for part in message.parts
        if isinstance(part, Text) and (block := render_text(part))
    ]
    ids = ToolIds()
    turns: list[dict[str, Any]] = []
    for side, group in groupby(messages[len(leading) :], _side):
        blocks = [block for message in group for block in render_content(message.parts, ids)]
        if not blocks:
            continue
        if turns and turns[-1]["role"] == side:  # nothing of what stood between them could be said
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": side, "content": blocks})
    for turn in turns:
        turn["content"] = plain(_results_first(turn["content"]))
    return plain(prompt), turns


def _split(role: Role, parts: tuple[Part, ...]) -> list[Message]:
    if role is not Role.USER or not parts:
        return [Message(role, parts)]
    runs = groupby(parts, lambda part: isinstance(part, ToolResult))
    return [Message(Role.TOOL if results else Role.USER, tuple(run)) for results, run in runs]


def _side(message: Message) -> str:
    return "assistant" if message.role is Role.ASSISTANT else "user"


def _results_first(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")
