"""What others contribute to an answer is told while it comes to be: as reasoning, or as each dialect can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from junto.core.chat import Text, Thinking
from junto.core.completion import Completion, Folder, unfold
from junto.core.events import Finish, FinishReason, Progress, Start, TextDelta
from junto.core.usage import Usage
from junto.dialects import anthropic, native, ollama, openai
from junto.dialects.wire import Rendering

if TYPE_CHECKING:
    from junto.core.events import Event
    from junto.dialects.wire import Wire

RENDERING = Rendering(id="req_1", model="council/debate", created=1_700_000_000)
STREAM: list[Event] = [
    Start("council/debate"),
    Progress("round 1\n", {"council": {"event": "round", "round": 1}}),
    TextDelta("Yes."),
    Finish(FinishReason.STOP, Usage(input=3, output=1), beside={"council": {"degraded": False}}),
]
CHATTING = [openai.CHAT, ollama.CHAT, ollama.GENERATE, anthropic.MESSAGES, native.COMPLETE_STREAM]


def rendered(wire: Wire) -> bytes:
    """The stream in that wire's bytes."""
    return wire.event_renderer(RENDERING).render(STREAM)


def chunks(body: bytes) -> list[dict[str, Any]]:
    """The objects of a stream of server-sent events."""
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("wire", CHATTING, ids=lambda wire: wire.name)
def test_progress_is_never_a_part_of_the_answer(wire: Wire) -> None:
    """Whoever reads the stream back finds the answer alone as its words."""
    parser, folder = wire.event_parser(), Folder()
    for event in (*parser.feed(rendered(wire)), *parser.end()):
        folder.add(event)
    assert folder.completion().text == "Yes."


def test_progress_is_reasoning_with_its_fields_in_openai_s_chunks() -> None:
    """`reasoning_content` is for people, the chunk's further fields for programs; the last chunk has the report."""
    _, told, said, last, _ = chunks(rendered(openai.CHAT))
    assert told["choices"][0]["delta"] == {"reasoning_content": "round 1\n"}
    assert told["council"] == {"event": "round", "round": 1}
    assert "council" not in said
    assert last["council"] == {"degraded": False}
    assert last["choices"][0]["finish_reason"] == "stop"


def test_progress_is_thinking_in_ollama_s_lines() -> None:
    """The last line has the report."""
    told, said, last = [json.loads(line) for line in rendered(ollama.CHAT).splitlines()]
    assert told["message"] == {"role": "assistant", "content": "", "thinking": "round 1\n"}
    assert said["message"]["content"] == "Yes."
    assert last["done"] is True
    assert last["council"] == {"degraded": False}


def test_progress_is_a_block_of_thinking_in_anthropic_s_stream() -> None:
    """It is closed before the words begin."""
    kinds = [
        one.get("content_block", one.get("delta", {})).get("type", one["type"])
        for one in chunks(rendered(anthropic.MESSAGES))
    ]
    assert chunks(rendered(anthropic.MESSAGES))[-2]["council"] == {"degraded": False}
    assert kinds[:6] == ["message_start", "thinking", "thinking_delta", "content_block_stop", "text", "text_delta"]


def test_progress_is_an_empty_chunk_in_the_native_stream() -> None:
    """It has no place for reasoning; the connection is not silent all the same."""
    told, said, done = [json.loads(line) for line in rendered(native.COMPLETE_STREAM).splitlines()]
    assert told == {"type": "chunk", "text": ""}
    assert said == {"type": "chunk", "text": "Yes."}
    assert done["council"] == {"degraded": False}


def test_progress_is_a_comment_where_only_words_have_a_place() -> None:
    """Legacy completions stay readable, and their connection is not silent."""
    assert rendered(openai.COMPLETIONS).startswith(b": round 1\n\n")


@pytest.mark.parametrize(
    "wire", [openai.CHAT, ollama.CHAT, ollama.GENERATE, anthropic.MESSAGES, native.COMPLETE], ids=lambda wire: wire.name
)
def test_a_whole_answer_has_the_fields_beside_it(wire: Wire) -> None:
    """In every dialect whose answer is an object."""
    answer = Completion(parts=(Thinking("t"), Text("Yes.")), beside={"council": {"degraded": True}})
    assert json.loads(wire.render_response(answer, RENDERING))["council"] == {"degraded": True}


def test_folding_keeps_what_stands_beside() -> None:
    """And progress becomes a part of the reasoning."""
    folder = Folder()
    for event in STREAM:
        folder.add(event)
    whole = folder.completion()
    assert whole.thinking == "round 1\n"
    assert whole.beside == {"council": {"degraded": False}}
    assert list(unfold(whole))[-1] == STREAM[-1]
