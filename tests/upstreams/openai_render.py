"""Render a planned answer in OpenAI's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.upstreams.ask import Ask
from tests.upstreams.plan import Call, Fail, Scripted, Usage
from tests.upstreams.playback import ErrorAnswer, Rendered
from tests.upstreams.wording import argument_pieces, call_id, compact, event

CREATED = 1_760_000_000
ERROR_KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("service_unavailable_error", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatWords:
    """How this server words a chat answer; compatible servers differ in these.

    `reasoning_field` is `reasoning_content` (DeepSeek, llama.cpp, vLLM of old) or `reasoning` (Ollama, OpenRouter).
    """

    id: str
    reasoning_field: str = "reasoning_content"
    include_usage: bool = False
    done_marker: bool = True


def render_chat(ask: Ask, answer: Scripted, words: ChatWords) -> Rendered:
    """Render `POST /v1/chat/completions`, whole and streamed."""
    usage = answer.counted(ask.prompt_tokens)
    head = {"id": words.id, "object": "chat.completion.chunk", "created": CREATED, "model": ask.model}
    unused = {"usage": None} if words.include_usage else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice], **unused})

    deltas: list[dict[str, Any]] = [{words.reasoning_field: piece} for piece in answer.thinking_pieces]
    deltas += [{"content": piece} for piece in answer.text_pieces]
    for number, call in enumerate(answer.tool_calls):
        deltas += call_deltas(call, number)
    closing = chunk({}, answer.finish_reason)
    if words.include_usage and usage is not None:
        closing += event({**head, "choices": [], "usage": usage_of(usage)})
    return Rendered(
        whole=whole_chat(ask, answer, words, usage),
        opening=chunk({"role": "assistant", "content": ""}),
        pieces=tuple(map(chunk, deltas)),
        closing=closing + (event("[DONE]") if words.done_marker else b""),
        content_type="text/event-stream; charset=utf-8",
        mid_stream_error=mid_stream_error(answer.fail),
    )


def whole_chat(ask: Ask, answer: Scripted, words: ChatWords, usage: Usage | None) -> dict[str, Any]:
    """Make the unstreamed chat answer."""
    said = answer.whole_text
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said if said or not answer.tool_calls else None,
        "refusal": None,
    }
    if answer.thinking is not None:
        message[words.reasoning_field] = answer.thinking
    if answer.tool_calls:
        message["tool_calls"] = [whole_call(call, number) for number, call in enumerate(answer.tool_calls)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    whole = {
        "id": words.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": [choice],
        "system_fingerprint": "fp_emulated",
    }
    return whole if usage is None else {**whole, "usage": usage_of(usage)}


def render_completion(ask: Ask, answer: Scripted, words: ChatWords) -> Rendered:
    """Render `POST /v1/completions`, whole and streamed."""
    usage = answer.counted(ask.prompt_tokens)
    head = {"id": words.id, "object": "text_completion", "created": CREATED, "model": ask.model}

    def chunk(text: str, finish: str | None) -> dict[str, Any]:
        return {
            **head,
            "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
        }

    finish = "length" if answer.finish_reason == "length" else "stop"
    closing = event(chunk("", finish))
    counted = {} if usage is None else {"usage": usage_of(usage)}
    if words.include_usage and usage is not None:
        closing += event({**head, "choices": [], **counted})
    return Rendered(
        whole={**chunk(answer.whole_text, finish), **counted},
        opening=b"",
        pieces=tuple(event(chunk(piece, None)) for piece in answer.text_pieces),
        closing=closing + (event("[DONE]") if words.done_marker else b""),
        content_type="text/event-stream; charset=utf-8",
        mid_stream_error=mid_stream_error(answer.fail),
    )


def call_deltas(call: Call, number: int) -> list[dict[str, Any]]:
    """Make the deltas of one tool call: the name first, then its arguments in pieces."""
    opening = {
        "index": number,
        "id": call.id or call_id("call_", call.name, number),
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    rest = [{"index": number, "function": {"arguments": piece}} for piece in argument_pieces(call.arguments)]
    return [{"tool_calls": [delta]} for delta in [opening, *rest]]


def whole_call(call: Call, number: int) -> dict[str, Any]:
    """Make one tool call of an unstreamed answer."""
    return {
        "id": call.id or call_id("call_", call.name, number),
        "type": "function",
        "function": {"name": call.name, "arguments": compact(dict(call.arguments))},
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Make OpenAI's usage object: the prompt's count includes what was cached."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def error_body(status: int, message: str, kind: str = "", param: str | None = None) -> dict[str, Any]:
    """Make OpenAI's error object; `kind` replaces the code that goes with the status."""
    type_, code = ERROR_KINDS.get(status, ("invalid_request_error" if status < 500 else "server_error", None))
    return {"error": {"message": message, "type": type_, "param": param, "code": kind or code}}


def error_answer(fail: Fail) -> ErrorAnswer:
    """Word a planned failure that comes before the response head."""
    return ErrorAnswer(status=fail.status, body=error_body(fail.status, fail.message, fail.kind))


def mid_stream_error(fail: Fail | None) -> bytes:
    """Word a planned failure inside a stream: an event that carries an error object."""
    fail = fail or Fail()
    return event(error_body(fail.status, fail.message, fail.kind))
