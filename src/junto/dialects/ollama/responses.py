"""Whole answers of `/api/chat` and `/api/generate`, and how every answer ends: reason, usage, durations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from junto.core.chat import Text, Thinking
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.core.events import Finish, FinishReason, Timing
from junto.core.usage import Usage
from junto.dialects.decoding import decode_answer
from junto.dialects.ollama.messages import WireCall, WireMessage, parse_calls, render_call
from junto.dialects.wire import Rendering


class Ending(msgspec.Struct):
    """The fields of an answer's last object, and the error that may stand in their place."""

    model: str = ""
    done: bool = False
    done_reason: str | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    error: Any = None


class Answer(Ending):
    """An object of an answer, whole or one of a stream; `response` and `thinking` are generate's."""

    message: WireMessage | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[WireCall] | None = None

    def said(self) -> WireMessage:
        """What is in it, for both endpoints alike."""
        if self.message is not None:
            return self.message
        return WireMessage(content=self.response, thinking=self.thinking, tool_calls=self.tool_calls)


_ANSWER = msgspec.json.Decoder(Answer)


def parse_response(body: bytes) -> Completion:
    """Read a whole answer; raises UpstreamFailure."""
    answer = decode_answer(_ANSWER, body)
    if answer.error is not None:
        raise UpstreamFailure(FailureKind.SERVER, str(answer.error)[:300])
    if not answer.done:
        raise UpstreamFailure(FailureKind.PROTOCOL, "a whole answer that is not done")
    said = answer.said()
    calls = parse_calls(said.tool_calls or [], 0)
    thinking = (Thinking(said.thinking),) if said.thinking else ()
    text = (Text(said.content),) if said.content else ()
    finish = finish_of(answer, called=bool(calls))
    return Completion(
        parts=(*thinking, *text, *calls),
        reason=finish.reason,
        usage=finish.usage,
        timing=finish.timing,
        model=answer.model,
    )


def finish_of(ending: Ending, *, called: bool) -> Finish:
    """The end of an answer; `called` says whether tools were, which the wire's own reason does not."""
    reason = FinishReason.LENGTH if ending.done_reason == "length" else FinishReason.STOP
    if called and reason is FinishReason.STOP:
        reason = FinishReason.TOOL_CALLS
    return Finish(reason, usage_of(ending), _timing(ending))


def usage_of(ending: Ending) -> Usage | None:
    """The tokens, None if none were reported; cached ones are a part of the prompt's on this wire."""
    if ending.prompt_eval_count is None and ending.eval_count is None:
        return None
    prompt = ending.prompt_eval_count or 0
    cached = min(ending.prompt_eval_cached_count or 0, prompt)
    return Usage.checked(input=prompt - cached, cache_read=cached, output=ending.eval_count or 0)


def render_chat_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """Write a whole answer of `/api/chat`."""
    completion = _completion_only(answer)
    message: dict[str, Any] = {"role": "assistant", "content": completion.text}
    if completion.thinking:
        message["thinking"] = completion.thinking
    if completion.tool_calls:
        message["tool_calls"] = [render_call(call, index) for index, call in enumerate(completion.tool_calls)]
    return msgspec.json.encode(
        head_of(rendering) | {"message": message} | render_ending(_finish(completion)) | completion.beside
    )


def render_generate_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """Write a whole answer of `/api/generate`."""
    completion = _completion_only(answer)
    said: dict[str, Any] = {"response": completion.text}
    if completion.thinking:
        said["thinking"] = completion.thinking
    return msgspec.json.encode(head_of(rendering) | said | render_ending(_finish(completion)) | completion.beside)


def head_of(rendering: Rendering) -> dict[str, Any]:
    """The fields that every object of an answer begins with."""
    return {"model": rendering.model, "created_at": timestamp(rendering.created)}


def timestamp(seconds: int) -> str:
    """Seconds since the epoch as RFC 3339 in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}Z"


def render_ending(finish: Finish) -> dict[str, Any]:
    """The fields of the last object; durations that nobody reported are 0, since some clients insist on them."""
    usage, timing = finish.usage or Usage(), finish.timing or Timing()
    wire: dict[str, Any] = {
        "done": True,
        "done_reason": "length" if finish.reason is FinishReason.LENGTH else "stop",
        "total_duration": timing.total,
        "load_duration": timing.load,
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": timing.prompt,
        "eval_count": usage.output,
        "eval_duration": timing.output,
    }
    if usage.cache_read:
        wire["prompt_eval_cached_count"] = usage.cache_read
    return wire


def _timing(ending: Ending) -> Timing | None:
    timing = Timing(
        total=ending.total_duration or 0,
        load=ending.load_duration or 0,
        prompt=ending.prompt_eval_duration or 0,
        output=ending.eval_duration or 0,
    )
    return None if timing == Timing() else timing


def _finish(completion: Completion) -> Finish:
    return Finish(completion.reason, completion.usage, completion.timing)


def _completion_only(answer: Completion | Embeddings) -> Completion:
    if isinstance(answer, Embeddings):
        raise Unsupported("The answer is embeddings, not a text.")
    return answer
