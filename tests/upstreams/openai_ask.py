"""Read an OpenAI request into what the answer depends on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.upstreams.ask import Ask, count_words

IMAGE_PARTS = frozenset({"image_url", "input_image"})


def chat_ask(body: Mapping[str, Any]) -> Ask:
    """Reduce the body of `POST /v1/chat/completions`."""
    messages: Sequence[Mapping[str, Any]] = body["messages"]
    last = messages[-1] if messages else {}
    spoken = [one for one in messages if one["role"] == "user"]
    return Ask(
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=text_of(spoken[-1].get("content")) if spoken else "",
        prompt_tokens=sum(count_words(text_of(one.get("content"))) for one in messages),
        images=sum(images_in(one.get("content")) for one in messages),
        tools={
            tool["function"]["name"]: tool["function"].get("parameters") or {}
            for tool in body.get("tools") or []
            if tool.get("type") == "function"
        },
        forced_tool=forced_tool(body.get("tool_choice")),
        tool_result=text_of(last.get("content")) if last.get("role") == "tool" else None,
        schema=schema_of(body.get("response_format")),
        think=body.get("reasoning_effort") not in {None, "none"},
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def completion_ask(body: Mapping[str, Any]) -> Ask:
    """Reduce the body of `POST /v1/completions`."""
    prompt = body.get("prompt", "")
    text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    return Ask(
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=text,
        prompt_tokens=count_words(text),
        max_tokens=body.get("max_tokens"),
    )


def text_of(content: Any) -> str:
    """Join the text of a message's content, be it a string or parts."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or [] if part.get("type") == "text")


def images_in(content: Any) -> int:
    """Count the images of a message's content."""
    return sum(part.get("type") in IMAGE_PARTS for part in content) if isinstance(content, list) else 0


def forced_tool(choice: Any) -> str | None:
    """Read `tool_choice`: a name, `*` for any, None for none forced."""
    if isinstance(choice, Mapping):
        return str(choice["function"]["name"])
    return "*" if choice == "required" else None


def schema_of(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Read `response_format`: the schema, `{}` for any object, None for plain text."""
    match (response_format or {}).get("type"):
        case "json_schema":
            schema: Mapping[str, Any] = (response_format or {})["json_schema"].get("schema") or {}
            return schema
        case "json_object":
            return {}
        case _:
            return None
