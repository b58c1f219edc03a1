"""Render a planned answer in Anthropic's words. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from tests.upstreams.ask import Ask
from tests.upstreams.plan import Fail, Scripted, Usage
from tests.upstreams.playback import ErrorAnswer, Rendered
from tests.upstreams.wording import argument_pieces, call_id, event

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
ERROR_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

type Delta = dict[str, Any]
type Block = tuple[dict[str, Any], list[Delta]]


def render_message(ask: Ask, answer: Scripted, message_id: str) -> Rendered:
    """Render `POST /v1/messages`, whole and streamed; each delta is a piece, with its block's start and stop."""
    usage = answer.counted(ask.prompt_tokens) or Usage()
    head: dict[str, Any] = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "stop_sequence": None,
    }
    reason = STOP_REASONS[answer.finish_reason]
    start: dict[str, Any] = {
        **head,
        "content": [],
        "stop_reason": None,
        "usage": usage_of(usage, output=min(1, usage.output)),
    }
    stop = {"stop_reason": reason, "stop_sequence": None}
    pieces = [piece for number, block in enumerate(blocks_of(answer)) for piece in block_pieces(number, *block)]
    return Rendered(
        whole={**head, "content": whole_blocks(answer), "stop_reason": reason, "usage": usage_of(usage)},
        opening=named({"type": "message_start", "message": start}) + named({"type": "ping"}),
        pieces=tuple(pieces),
        closing=named({"type": "message_delta", "delta": stop, "usage": delta_usage_of(usage)})
        + named({"type": "message_stop"}),
        content_type="text/event-stream; charset=utf-8",
        mid_stream_error=mid_stream_error(answer.fail),
    )


def blocks_of(answer: Scripted) -> list[Block]:
    """List the content blocks of a stream: how each starts, and its deltas."""
    blocks: list[Block] = []
    if answer.thinking is not None:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in answer.thinking_pieces]
        deltas.append({"type": "signature_delta", "signature": signature_of(answer.thinking)})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.text_pieces:
        said = [{"type": "text_delta", "text": piece} for piece in answer.text_pieces]
        blocks.append(({"type": "text", "text": ""}, said))
    for number, call in enumerate(answer.tool_calls):
        opening = {
            "type": "tool_use",
            "id": call.id or call_id("toolu_", call.name, number),
            "name": call.name,
            "input": {},
        }
        parts = ["", *argument_pieces(call.arguments)]
        blocks.append((opening, [{"type": "input_json_delta", "partial_json": part} for part in parts]))
    return blocks


def block_pieces(number: int, opening: dict[str, Any], deltas: Sequence[Delta]) -> list[bytes]:
    """Make one piece of each delta; the first carries the block's start, the last its stop."""
    pieces = [named({"type": "content_block_delta", "index": number, "delta": delta}) for delta in deltas]
    pieces[0] = named({"type": "content_block_start", "index": number, "content_block": opening}) + pieces[0]
    pieces[-1] += named({"type": "content_block_stop", "index": number})
    return pieces


def whole_blocks(answer: Scripted) -> list[dict[str, Any]]:
    """Make the content of an unstreamed answer."""
    blocks: list[dict[str, Any]] = []
    if answer.thinking is not None:
        signed = {"thinking": answer.thinking, "signature": signature_of(answer.thinking)}
        blocks.append({"type": "thinking", **signed})
    if answer.whole_text:
        blocks.append({"type": "text", "text": answer.whole_text})
    for number, call in enumerate(answer.tool_calls):
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id or call_id("toolu_", call.name, number),
                "name": call.name,
                "input": dict(call.arguments),
            }
        )
    return blocks


def signature_of(thinking: str) -> str:
    """Sign a thinking text; the emulator accepts it back only with this signature."""
    return base64.b64encode(hashlib.sha512(f"signed/{thinking}".encode()).digest()).decode("ascii")


def usage_of(usage: Usage, output: int | None = None) -> dict[str, Any]:
    """Make Anthropic's usage object: input tokens exclude the cached ones."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output if output is None else output,
        "service_tier": "standard",
    }


def delta_usage_of(usage: Usage) -> dict[str, Any]:
    """Make the cumulative usage of `message_delta`."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


def named(data: dict[str, Any]) -> bytes:
    """Make an event whose name is its type, as all of Anthropic's are."""
    return event(data, data["type"])


def error_body(status: int, message: str, kind: str = "") -> dict[str, Any]:
    """Make Anthropic's error object."""
    default = "invalid_request_error" if status < 500 else "api_error"
    error = {"type": kind or ERROR_KINDS.get(status, default), "message": message}
    return {"type": "error", "error": error, "request_id": "req_emulated"}


def error_answer(fail: Fail) -> ErrorAnswer:
    """Word a planned failure that comes before the response head."""
    body = error_body(fail.status, fail.message, fail.kind)
    return ErrorAnswer(status=fail.status, body=body, headers={"request-id": "req_emulated"})


def mid_stream_error(fail: Fail | None) -> bytes:
    """Word a planned failure inside a stream: an `error` event."""
    fail = fail or Fail()
    body = error_body(fail.status, fail.message, fail.kind)
    return event({"type": "error", "error": body["error"]}, "error")
