"""What upstreams answer with, whole or in chunks, read leniently: the shapes, and what their fields mean.

Servers that imitate OpenAI differ in where they put reasoning, how they spell finish reasons and which fields they
leave out or null. All of that is settled here, for the stream and for the whole alike.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.events import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
}


_WORDS = {said: reason.value for said, reason in _REASONS.items()}


class FunctionPiece(msgspec.Struct):
    """The name and arguments of a call, or a piece of them."""

    name: str | None = None
    arguments: Any = None


class CallPiece(msgspec.Struct):
    """A tool call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class Said(msgspec.Struct):
    """A message, or a delta of one."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: FunctionPiece | None = None

    @property
    def calls(self) -> list[CallPiece]:
        """The tool calls; the one function call of before tools as one of them."""
        if self.tool_calls:
            return self.tool_calls
        return [] if self.function_call is None else [CallPiece(0, None, self.function_call)]

    @property
    def thinking(self) -> str:
        """The reasoning, wherever the server puts it."""
        said = self.reasoning_content or self.reasoning
        if isinstance(said, str) and said:
            return said
        return _joined(self.content, "thinking") if isinstance(self.content, list) else ""

    @property
    def text(self) -> str:
        """The words of the answer; a refusal is words too."""
        if isinstance(self.content, list):
            return _joined(self.content, "text") or self.refusal or ""
        return self.content if isinstance(self.content, str) and self.content else self.refusal or ""


class Outcome(msgspec.Struct):
    """How one choice ended; some servers put an error here."""

    finish_reason: Any = None
    error: Any = None


class Choice(Outcome):
    """One answer; Junto asks for one only, so index 0 is it."""

    index: int | None = None
    message: Said | None = None
    delta: Said | None = None
    text: str | None = None


class Answer(msgspec.Struct):
    """The body of an answer, or a chunk of it."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None

    @property
    def failed(self) -> object:
        """The error that it carries, if any."""
        return carried_error(self.error, self.choices)

    @property
    def name(self) -> str:
        """What the upstream calls the model."""
        return self.model if isinstance(self.model, str) else ""

    @property
    def key(self) -> str:
        """The upstream's id of the answer."""
        return str(self.id) if isinstance(self.id, str | int) else ""


decode_answer = msgspec.json.Decoder(Answer).decode


def carried_error(error: object, choices: Sequence[Outcome] | None) -> object:
    """The error that a 200 carries, in the answer or in a choice; something false when there is none."""
    for choice in choices or ():
        if choice.error or choice.finish_reason == "error":
            return error or choice.error or "error"
    return error


def finish_reason(said: object, *, called: bool) -> FinishReason:
    """Why the model stopped: an unknown word is a stop, and a stop after tool calls was for them."""
    reason = _REASONS.get(said.lower(), FinishReason.STOP) if isinstance(said, str) else FinishReason.STOP
    return FinishReason.TOOL_CALLS if called and reason is FinishReason.STOP else reason


def finish_word(said: object) -> str:
    """The same as a word, of an answer that called no tool."""
    word = _WORDS.get(said) if type(said) is str else None
    return word or finish_reason(said, called=False).value


def invented_id(answer: str, index: int, name: str) -> str:
    """An id for a call that the server gave none: the same for the same call of the same answer."""
    digest = hashlib.blake2s(f"{answer}\0{index}\0{name}".encode(), digest_size=12)
    return f"call_{digest.hexdigest()}"


def _joined(content: list[Any], kind: str) -> str:
    return "".join(text for its_kind, text in _parts_of(content) if its_kind == kind)


def _parts_of(content: object) -> Iterator[tuple[str, str]]:
    """Content in parts, as Mistral sends it: texts, and thinking that is itself made of texts."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            yield "text", part["text"]
        elif part.get("type") == "thinking":
            inner = part.get("thinking")
            yield "thinking", inner if isinstance(inner, str) else "".join(text for _, text in _parts_of(inner))
