"""Read an Ollama request into what the answer depends on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.upstreams.ask import Ask, count_words


def chat_ask(body: Mapping[str, Any]) -> Ask:
    """Reduce the body of `POST /api/chat`."""
    messages: Sequence[Mapping[str, Any]] = body.get("messages") or []
    last = messages[-1] if messages else {}
    spoken = [one for one in messages if one["role"] == "user"]
    return Ask(
        model=body["model"],
        stream=streams(body),
        prompt=spoken[-1].get("content") or "" if spoken else "",
        prompt_tokens=sum(count_words(one.get("content") or "") for one in messages),
        images=sum(len(one.get("images") or []) for one in messages),
        tools={tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or []},
        tool_result=last.get("content") if last.get("role") == "tool" else None,
        schema=schema_of(body.get("format")),
        think=bool(body.get("think")),
        max_tokens=limit_of(body),
    )


def generate_ask(body: Mapping[str, Any]) -> Ask:
    """Reduce the body of `POST /api/generate`."""
    prompt = body.get("prompt") or ""
    return Ask(
        model=body["model"],
        stream=streams(body),
        prompt=prompt,
        prompt_tokens=count_words([body.get("system") or "", prompt]),
        images=len(body.get("images") or []),
        schema=schema_of(body.get("format")),
        think=bool(body.get("think")),
        max_tokens=limit_of(body),
    )


def streams(body: Mapping[str, Any]) -> bool:
    """Tell whether the answer is streamed: Ollama streams unless told not to."""
    return body.get("stream") is not False


def limit_of(body: Mapping[str, Any]) -> int | None:
    """Read `num_predict`; a negative one means no limit."""
    limit = (body.get("options") or {}).get("num_predict")
    return limit if isinstance(limit, int) and limit > 0 else None


def schema_of(wanted: Any) -> Mapping[str, Any] | None:
    """Read `format`: a schema, `{}` for "json", None for plain text."""
    if isinstance(wanted, Mapping):
        return wanted
    return {} if wanted == "json" else None


def keep_alive_seconds(value: Any, default: float) -> float:
    """Read `keep_alive`: seconds, or a Go duration such as "5m" or "1h30m"; negative means for ever."""
    if value is None:
        return default
    if isinstance(value, int | float):
        return float(value)
    total, number = 0.0, ""
    sign = -1.0 if str(value).startswith("-") else 1.0
    text = str(value).removeprefix("-").replace("ms", "i")
    for letter in text:
        if letter.isdigit() or letter == ".":
            number += letter
        else:
            total += float(number or 0) * {"h": 3600.0, "m": 60.0, "s": 1.0, "i": 0.001}[letter]
            number = ""
    return sign * (total + float(number or 0))
