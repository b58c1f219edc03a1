"""OpenAI's usage object, as the many servers that imitate it fill it in, to disjoint classes and back.

Here `prompt_tokens` includes what was cached and `completion_tokens` what was thought. Some servers count thinking
beside the completion: then only `total_tokens` tells.
"""

from __future__ import annotations

from typing import Any

from junto.core.usage import MOST_TOKENS, Usage

_PLAIN = {"prompt_tokens", "completion_tokens", "total_tokens"}  # nothing was cached or thought, or nobody says


def parse_usage(wire: object) -> Usage | None:
    """The usage in an upstream's `usage` field; None when there is no object, zeros for what is no count."""
    if not isinstance(wire, dict):
        return None
    if len(wire) == len(_PLAIN) and wire.keys() == _PLAIN:
        input, output = wire["prompt_tokens"], wire["completion_tokens"]
        if type(input) is int is type(output) and 0 <= input <= MOST_TOKENS and 0 <= output <= MOST_TOKENS:
            return Usage(input=input, output=output)  # as nearly always
    prompt = _count(wire, "prompt_tokens")  # an absurd one stands as MOST_TOKENS
    completion = _count(wire, "completion_tokens")
    details = _object(wire, "prompt_tokens_details")
    cached = _part(details, "cached_tokens") or _part(wire, "prompt_cache_hit_tokens")
    written = _part(details, "cache_write_tokens")
    reasoning = _count(_object(wire, "completion_tokens_details"), "reasoning_tokens")
    if reasoning and (reasoning > completion or _count(wire, "total_tokens") == prompt + completion + reasoning):
        completion += reasoning
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    return Usage.checked(
        input=prompt - cached - written,
        cache_read=cached,
        cache_write=written,
        output=completion,
        reasoning=reasoning,
    )


def render_usage(usage: Usage) -> dict[str, Any]:
    """The `usage` object of a chat or text completion."""
    prompt: dict[str, int] = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        prompt["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _object(wire: dict[str, Any], name: str) -> dict[str, Any]:
    value = wire.get(name)
    return value if isinstance(value, dict) else {}


def _count(wire: dict[str, Any], name: str) -> int:
    value = wire.get(name)
    if type(value) is int:  # which True is not
        return value if 0 <= value <= MOST_TOKENS else min(max(value, 0), MOST_TOKENS)
    return int(min(value, MOST_TOKENS)) if type(value) is float and value >= 0 else 0


def _part(wire: dict[str, Any], name: str) -> int:
    """A count that is a part of another: an absurd one is none."""
    count = _count(wire, name)
    return count if count < MOST_TOKENS else 0
