"""Read an Anthropic request into what the answer depends on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.upstreams.ask import Ask, count_words

THINKING_KINDS = frozenset({"enabled", "adaptive", "between_tools"})


def messages_ask(body: Mapping[str, Any]) -> Ask:
    """Reduce the body of `POST /v1/messages`."""
    messages: Sequence[Mapping[str, Any]] = body["messages"]
    spoken = [one for one in messages if one["role"] == "user" and (text_of(one["content"]) or not results_in(one))]
    last = results_in(messages[-1]) if messages else []
    return Ask(
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=text_of(spoken[-1]["content"]) if spoken else "",
        prompt_tokens=prompt_tokens(body),
        images=sum(images_in(one["content"]) for one in messages),
        tools={
            tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or [] if "input_schema" in tool
        },
        forced_tool=forced_tool(body.get("tool_choice")),
        tool_result=text_of(last[-1].get("content")) if last else None,
        schema=schema_of(body),
        think=(body.get("thinking") or {}).get("type") in THINKING_KINDS,
        max_tokens=body.get("max_tokens"),
    )


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Count the words of the system prompt and of all messages, tool results included."""
    said = [text_of(one["content"]) for one in body["messages"]]
    results = [text_of(result.get("content")) for one in body["messages"] for result in results_in(one)]
    return count_words([text_of(body.get("system")), *said, *results])


def text_of(content: Any) -> str:
    """Join the text blocks of a content, be it a string or blocks."""
    if isinstance(content, str):
        return content
    return " ".join(block["text"] for block in content or [] if block.get("type") == "text")


def blocks_of(content: Any) -> list[Mapping[str, Any]]:
    """List the blocks of a content; a plain string has none."""
    return list(content) if isinstance(content, list) else []


def results_in(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the tool results of a message."""
    return [block for block in blocks_of(message["content"]) if block.get("type") == "tool_result"]


def images_in(content: Any) -> int:
    """Count the images of a content."""
    return sum(block.get("type") == "image" for block in blocks_of(content))


def forced_tool(choice: Mapping[str, Any] | None) -> str | None:
    """Read `tool_choice`: a name, `*` for any, None for none forced."""
    match (choice or {}).get("type"):
        case "tool":
            return str((choice or {})["name"])
        case "any":
            return "*"
        case _:
            return None


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read `output_config.format`, or `output_format` as it was called in beta."""
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    schema: Mapping[str, Any] | None = wanted.get("schema") if wanted.get("type") == "json_schema" else None
    return schema


def replayed_thinking(body: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """List the thinking blocks that the caller sends back, each with its place in Anthropic's notation."""
    return [
        (f"messages.{number}.content.{index}", block)
        for number, message in enumerate(body["messages"])
        for index, block in enumerate(blocks_of(message["content"]))
        if block.get("type") == "thinking"
    ]
