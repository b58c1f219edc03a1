"""The fixed bytes of the benchmark: what callers ask and what the upstream answers, in each wire format.

Pure data and functions. It must not touch a socket and must not depend on Junto: the answers are the yardstick.
"""

import json
import random
from typing import Any, Final

MODEL: Final = "mock-model"
ANTHROPIC_MODEL: Final = "mock-claude"
OLLAMA_MODEL: Final = "mock-llama"
MODELS: Final = (MODEL, ANTHROPIC_MODEL, OLLAMA_MODEL)

CLOUD_MODEL: Final = "mock-cloud-model"
LOCAL_MODEL: Final = "mock-local-model"
SLOW_MODEL: Final = "mock-slow-model"
JOB_MODELS: Final = (CLOUD_MODEL, LOCAL_MODEL, SLOW_MODEL)
"""What jobs ask for: done at once, queued, queued and slow."""

EVENTS: Final = 100
"""Text-carrying events in one streamed answer."""

WORDS: Final = tuple(f"word{index:03d} " for index in range(EVENTS))
STREAM_TEXT: Final = "".join(WORDS)
ANSWER_TEXT: Final = "The quick brown fox jumps over the lazy dog while 12 patient gateways count each single token."

REQUEST_BYTES: Final = 260
LARGE_BYTES: Final = 400_000

_CREATED: Final = 1_760_000_000
_USAGE: Final = {"prompt_tokens": 42, "completion_tokens": EVENTS, "total_tokens": 42 + EVENTS}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def request(*, model: str = MODEL, stream: bool = False, size: int = REQUEST_BYTES) -> str:
    """Return a chat request of exactly `size` bytes (about 10 more when streaming), as clients write it."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a terse assistant."},
            {"role": "user", "content": ""},
        ],
        "max_tokens": 256,
        "temperature": 0.2,
    }
    body["messages"][1]["content"] = prose(size - len(_json(body)))
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _json(body)


def job(*, model: str, wait_s: float | None = None, later: bool = False) -> str:
    """Return the body of a job that says what `request` does, as clients write it."""
    body: dict[str, Any] = {
        "task_type": "bench",
        "model": model,
        "sensitivity": "public",
        "system_prompt": "You are a terse assistant.",
        "prompt": prose(100),
        "max_tokens": 256,
    }
    if wait_s is not None:
        body["wait_s"] = wait_s
    return _json(body | ({"async": True} if later else {}))


def prose(size: int) -> str:
    """Return `size` characters of word-like ASCII that a compressor cannot fold into one repeated line."""
    source = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgk"
    vocabulary = ["".join(source.choices(letters, k=source.randint(2, 9))) for _ in range(2_000)]
    words = source.choices(vocabulary, k=size // 2 + 1)
    return " ".join(words)[:size]


def completion() -> bytes:
    """Return a whole OpenAI chat completion with usage, about 430 bytes."""
    return _json(
        {
            "id": "chatcmpl-00000000000000000000000000bench0001",
            "object": "chat.completion",
            "created": _CREATED,
            "model": MODEL,
            "system_fingerprint": "fp_mock",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": ANSWER_TEXT},
                    "logprobs": None,
                    "finish_reason": "stop",
                },
            ],
            "usage": {"prompt_tokens": 42, "completion_tokens": 20, "total_tokens": 62},
        },
    ).encode()


def openai_events(*, usage: bool) -> tuple[bytes, ...]:
    """Return the SSE events of a streamed OpenAI answer; the usage chunk only when it was asked for."""

    def chunk(choices: list[Any], extra: dict[str, Any]) -> bytes:
        head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL}
        return f"data: {_json(head | {'choices': choices} | extra)}\n\n".encode()

    def choice(delta: dict[str, str], reason: str | None) -> list[Any]:
        return [{"index": 0, "delta": delta, "finish_reason": reason}]

    texts = [chunk(choice({"content": word}, None), {}) for word in WORDS]
    texts[0] = chunk(choice({"role": "assistant", "content": WORDS[0]}, None), {})
    tail = chunk(choice({}, "stop"), {})
    if usage:
        tail += chunk([], {"usage": _USAGE})
    return (*texts, tail + b"data: [DONE]\n\n")


def anthropic_events() -> tuple[bytes, ...]:
    """Return the SSE events of a streamed Anthropic message; opening and closing events share a write."""

    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {_json({'type': kind, **fields})}\n\n".encode()

    message: dict[str, Any] = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": ANTHROPIC_MODEL,
        "content": [],
    }
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 42, "output_tokens": 1}}
    block = {"type": "text", "text": ""}
    texts = [event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS]
    opening = event("message_start", message=message) + event("content_block_start", index=0, content_block=block)
    texts[0] = opening + texts[0]
    stop: dict[str, Any] = {"stop_reason": "end_turn", "stop_sequence": None}
    closing = event("content_block_stop", index=0)
    closing += event("message_delta", delta=stop, usage={"output_tokens": EVENTS}) + event("message_stop")
    return (*texts, closing)


def anthropic_message() -> bytes:
    """Return a whole Anthropic message."""
    return _json(
        {
            "id": "msg_bench",
            "type": "message",
            "role": "assistant",
            "model": ANTHROPIC_MODEL,
            "content": [{"type": "text", "text": ANSWER_TEXT}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 42, "output_tokens": 20},
        },
    ).encode()


_OLLAMA_DONE: Final = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 1_000_000_000,
    "load_duration": 1_000_000,
    "prompt_eval_count": 42,
    "prompt_eval_duration": 10_000_000,
    "eval_count": EVENTS,
    "eval_duration": 900_000_000,
}


def ollama_chat(text: str, *, done: bool) -> bytes:
    """Return one line of Ollama's /api/chat: a piece of the stream, its end, or a whole answer."""
    line: dict[str, Any] = {"model": OLLAMA_MODEL, "created_at": "2026-01-01T00:00:00Z"}
    line |= {"message": {"role": "assistant", "content": text}, "done": False}
    return (_json(line | _OLLAMA_DONE if done else line) + "\n").encode()


def ollama_lines() -> tuple[bytes, ...]:
    """Return the NDJSON lines of a streamed Ollama chat."""
    return (*(ollama_chat(word, done=False) for word in WORDS), ollama_chat("", done=True))


def ollama_tags() -> bytes:
    """Return Ollama's list of models; the same rows serve `/api/tags` and, resident, `/api/ps`."""
    details = {"format": "gguf", "family": "llama", "parameter_size": "8.0B", "quantization_level": "Q4_0"}
    row = {"name": OLLAMA_MODEL, "model": OLLAMA_MODEL, "modified_at": "2026-01-01T00:00:00Z", "size": 4_000_000_000}
    row |= {"digest": "0" * 64, "details": {"parent_model": "", "families": ["llama"], **details}}
    row |= {"expires_at": "2030-01-01T00:00:00Z", "size_vram": 4_000_000_000}
    return _json({"models": [row]}).encode()


def ollama_show() -> bytes:
    """Return what Ollama tells about a model."""
    info = {"general.architecture": "llama", "llama.context_length": 8192}
    details = {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8.0B"}
    return _json({"details": details, "model_info": info, "capabilities": ["completion", "tools"]}).encode()


def model_list() -> bytes:
    """Return OpenAI's list of models."""
    rows = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "mock"} for name in MODELS]
    return _json({"object": "list", "data": rows}).encode()
