"""Render a planned answer in Ollama's words: NDJSON, arguments as objects, durations in nanoseconds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.upstreams.ask import Ask, count_words
from tests.upstreams.plan import Call, Fail, Scripted
from tests.upstreams.playback import ErrorAnswer, Rendered
from tests.upstreams.wording import call_id, embedding, line

NDJSON = "application/x-ndjson"
CREATED_AT = "2026-11-02T10:11:12.345678901Z"
NANOSECONDS_PER_TOKEN = 12_500_000
DONE_REASONS = {"stop": "stop", "length": "length", "tool_calls": "stop", "content_filter": "stop"}


def render_chat(ask: Ask, answer: Scripted, load_ns: int, remote: Mapping[str, Any]) -> Rendered:
    """Render `POST /api/chat`, whole and streamed; `remote` are the fields a remote tag adds."""
    head = {"model": ask.model, **remote, "created_at": CREATED_AT}

    def chunk(**said: Any) -> bytes:
        return line({**head, "message": {"role": "assistant", "content": "", **said}, "done": False})

    whole: dict[str, Any] = {"role": "assistant", "content": answer.whole_text}
    if answer.thinking is not None:
        whole["thinking"] = answer.thinking
    calls = [call_of(call, number) for number, call in enumerate(answer.tool_calls)]
    if calls:
        whole["tool_calls"] = calls
    end = ending(ask, answer, load_ns)
    return Rendered(
        whole={**head, "message": whole, **end},
        opening=b"",
        pieces=(
            *(chunk(thinking=piece) for piece in answer.thinking_pieces),
            *(chunk(content=piece) for piece in answer.text_pieces),
            *(chunk(tool_calls=[call]) for call in calls),
        ),
        closing=line({**head, "message": {"role": "assistant", "content": ""}, **end}),
        content_type=NDJSON,
        mid_stream_error=mid_stream_error(answer.fail),
    )


def render_generate(ask: Ask, answer: Scripted, load_ns: int, remote: Mapping[str, Any]) -> Rendered:
    """Render `POST /api/generate`, whole and streamed."""
    head = {"model": ask.model, **remote, "created_at": CREATED_AT}
    end = {**ending(ask, answer, load_ns), "context": [1, 2, 3]}
    thought = {} if answer.thinking is None else {"thinking": answer.thinking}
    return Rendered(
        whole={**head, "response": answer.whole_text, **thought, **end},
        opening=b"",
        pieces=(
            *(line({**head, "response": "", "thinking": piece, "done": False}) for piece in answer.thinking_pieces),
            *(line({**head, "response": piece, "done": False}) for piece in answer.text_pieces),
        ),
        closing=line({**head, "response": "", **end}),
        content_type=NDJSON,
        mid_stream_error=mid_stream_error(answer.fail),
    )


def ending(ask: Ask, answer: Scripted, load_ns: int) -> dict[str, Any]:
    """Make the fields that only the last object has; Go omits counts that are zero."""
    done = {"done": True, "done_reason": DONE_REASONS[answer.finish_reason]}
    usage = answer.counted(ask.prompt_tokens)
    if usage is None:
        return done
    reading, writing = usage.prompt * NANOSECONDS_PER_TOKEN // 10, usage.output * NANOSECONDS_PER_TOKEN
    loading = load_ns or 45_000_000
    metrics = {
        "total_duration": loading + reading + writing,
        "load_duration": loading,
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": reading,
        "eval_count": usage.output,
        "eval_duration": writing,
    }
    return {**done, **{name: value for name, value in metrics.items() if value}}


def call_of(call: Call, number: int) -> dict[str, Any]:
    """Make one tool call; its arguments are an object, not a string."""
    function = {"index": number, "name": call.name, "arguments": dict(call.arguments)}
    return {"id": call.id or call_id("call_", call.name, number), "function": function}


def embeddings(model: str, inputs: Sequence[str], dimensions: int, load_ns: int) -> dict[str, Any]:
    """Make the answer of `POST /api/embed`."""
    return {
        "model": model,
        "embeddings": [embedding(text, dimensions) for text in inputs],
        "total_duration": 14_143_917 + load_ns,
        "load_duration": load_ns or 1_019_500,
        "prompt_eval_count": count_words(list(inputs)),
    }


def error_answer(fail: Fail) -> ErrorAnswer:
    """Word a planned failure that comes before the response head."""
    return ErrorAnswer(status=fail.status, body={"error": fail.message})


def mid_stream_error(fail: Fail | None) -> bytes:
    """Word a planned failure inside a stream: a line with nothing but an error."""
    return line({"error": (fail or Fail()).message})
