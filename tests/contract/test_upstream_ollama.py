"""The Ollama emulator speaks to the real SDK and keeps Ollama's habits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest

from tests.upstreams import Fail, Gate, OllamaEmulator, Scripted, Usage, local_models, remote_models
from tests.upstreams.ollama_ask import keep_alive_seconds

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def server() -> Iterator[OllamaEmulator]:
    """Run the emulator with local and remote tags."""
    with OllamaEmulator(models=[*local_models(), *remote_models()]) as running:
        yield running


@pytest.fixture
def client(server: OllamaEmulator) -> Iterator[ollama.Client]:
    """Make the real SDK's client for it."""
    with ollama.Client(host=server.url, timeout=10) as made:
        yield made


def test_a_chat_whole_and_streamed_says_the_same(client: ollama.Client) -> None:
    """A whole answer is the sum of the streamed one, and the last object has the counts."""
    messages = [{"role": "user", "content": "good morning"}]
    whole = client.chat("llama3.2", messages)
    parts = list(client.chat("llama3.2", messages, stream=True))
    assert whole.message.content == "You said: good morning"
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * 4 + [True]
    assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].eval_count) == ("stop", 2, 4)
    assert parts[-1].total_duration


def test_streaming_is_the_default(server: OllamaEmulator, client: ollama.Client) -> None:
    """A body that says nothing of streaming gets NDJSON, as generate without `stream` would."""
    with openai.OpenAI(base_url=server.url, api_key="any", max_retries=0) as raw:
        answer = raw.post("/api/generate", body={"model": "llama3.2", "prompt": "hi"}, cast_to=str)
    lines = [json.loads(line) for line in answer.splitlines()]
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert "".join(line["response"] for line in lines) == "You said: hi"


def test_thinking_comes_apart_from_the_answer(client: ollama.Client) -> None:
    """With `think`, thinking has a field of its own; without, there is none."""
    messages = [{"role": "user", "content": "why"}]
    assert client.chat("qwen3:8b", messages, think=True).message.thinking == "Thinking about: why"
    assert client.chat("qwen3:8b", messages).message.thinking is None
    parts = list(client.chat("qwen3:8b", messages, think="high", stream=True))
    assert "".join(part.message.thinking or "" for part in parts) == "Thinking about: why"


def test_a_tool_call_has_its_arguments_as_an_object(client: ollama.Client) -> None:
    """A named tool is called, and its result is told."""
    asked = [{"role": "user", "content": "use get_weather"}]
    call = client.chat("llama3.2", asked, tools=[TOOL]).message
    assert call.tool_calls is not None
    assert call.tool_calls[0].function.name == "get_weather"
    assert call.tool_calls[0].function.arguments == {"city": "Paris"}
    told: list[Any] = [*asked, call, {"role": "tool", "tool_name": "get_weather", "content": "rain"}]
    assert client.chat("llama3.2", told, tools=[TOOL]).message.content == "The tool said: rain"


@pytest.mark.parametrize(
    ("model", "extra", "words"),
    [
        ("gemma3:4b", {"tools": [TOOL]}, "does not support tools"),
        ("llama3.2", {"think": True}, "does not support thinking"),
        ("nomic-embed-text", {}, "does not support chat"),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    client: ollama.Client, model: str, extra: dict[str, object], words: str
) -> None:
    """Tools, thinking and chat need the capability: 400 in Ollama's words."""
    with pytest.raises(ollama.ResponseError, match=words) as caught:
        client.chat(model, [{"role": "user", "content": "hi"}], **extra)  # type: ignore[call-overload]
    assert caught.value.status_code == 400


def test_formats_and_images(client: ollama.Client) -> None:
    """A schema is filled, "json" gives an object, images are counted."""
    asked = [{"role": "user", "content": "hi"}]
    schema = {"type": "object", "properties": {"age": {"type": "integer"}, "ok": {"type": "boolean"}}}
    assert json.loads(client.chat("llama3.2", asked, format=schema).message.content or "") == {
        "age": 7,
        "ok": True,
    }
    assert json.loads(client.chat("llama3.2", asked, format="json").message.content or "") == {"echo": "hi"}
    shown = [{"role": "user", "content": "what is this", "images": [PIXEL]}]
    assert client.chat("gemma3:4b", shown).message.content == "You said: what is this (and showed 1 image)"


def test_generate_loads_and_unloads(server: OllamaEmulator, client: ollama.Client) -> None:
    """An empty prompt loads, with keep_alive 0 it unloads, and `/api/ps` shows which."""
    assert client.ps().models == []
    assert client.generate("llama3.2").done_reason == "load"
    loaded = client.ps().models[0]
    assert (loaded.name, loaded.context_length) == ("llama3.2:latest", 4096)
    assert loaded.size_vram
    assert loaded.expires_at is not None
    assert client.generate("llama3.2", keep_alive=0).done_reason == "unload"
    assert client.ps().models == []
    assert server.memory.loads == server.memory.unloads == ["llama3.2:latest"]


def test_a_cold_load_takes_its_time_and_room(client: ollama.Client) -> None:
    """The first answer reports its load; a model more than fits drops the one that expires first."""
    with OllamaEmulator(cold_load=0.02, max_loaded=1) as small:
        with ollama.Client(host=small.url, timeout=10) as caller:
            cold = caller.generate("llama3.2", "hi", keep_alive="10m")
            warm = caller.generate("llama3.2", "hi")
            caller.generate("qwen3:8b", "hi", keep_alive=-1)
        assert cold.load_duration == 20_000_000
        assert warm.load_duration != cold.load_duration
        assert small.resident == ["qwen3:8b"]
        assert small.memory.unloads == ["llama3.2:latest"]


def test_embeddings_in_a_batch_and_alone(client: ollama.Client) -> None:
    """Both endpoints give the same vector for the same text; dimensions are obeyed."""
    batch = client.embed("nomic-embed-text", ["one", "two"])
    assert [len(vector) for vector in batch.embeddings] == [64, 64]
    assert client.embeddings("nomic-embed-text", "two").embedding == pytest.approx(batch.embeddings[1])
    assert len(client.embed("nomic-embed-text", "one", dimensions=8).embeddings[0]) == 8


def test_the_list_tells_local_from_remote(server: OllamaEmulator, client: ollama.Client) -> None:
    """Remote tags carry their host in `/api/tags` and `/api/show`; local ones carry none."""
    listed = client.list().models
    assert len(listed) == 7
    assert listed[0].details is not None
    assert listed[0].details.format == "gguf"
    shown = client.show("house-helper")
    assert shown.model_extra is None
    assert shown.capabilities == ["completion", "tools", "thinking"]
    assert client.show("llama3.2").modelinfo == {
        "general.architecture": "llama",
        "general.basename": "llama3.2",
        "general.parameter_count": 3_212_749_888,
        "llama.context_length": 131_072,
        "llama.embedding_length": 64,
    }
    with openai.OpenAI(base_url=server.url, api_key="any") as raw:
        tags = json.loads(raw.get("/api/tags", cast_to=str))["models"]
    hosts = {tag["name"]: tag.get("remote_host") for tag in tags}
    assert hosts["house-helper:latest"] == "https://ollama.com:443"
    assert hosts["llama3.2:latest"] is None


def test_an_unknown_model_is_not_found(client: ollama.Client) -> None:
    """A missing model is 404 in Ollama's words."""
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as caught:
        client.chat("nope", [{"role": "user", "content": "hi"}])
    assert caught.value.status_code == 404


def test_a_full_queue_is_busy() -> None:
    """With one slot taken and no room to wait, the next request gets 503."""
    gate = Gate()
    with OllamaEmulator(parallel=1, max_queue=0) as server:
        server.script.plan(Scripted(text="one two", gate=gate, gate_after=1))
        with ollama.Client(host=server.url, timeout=10) as client:
            stream = client.chat("llama3.2", [{"role": "user", "content": "hi"}], stream=True)
            next(stream)
            with pytest.raises(ollama.ResponseError, match="maximum pending requests exceeded") as caught:
                client.chat("llama3.2", [{"role": "user", "content": "hi"}])
            gate.open()
            assert [part.done for part in stream][-1]
            assert client.chat("llama3.2", [{"role": "user", "content": "hi"}]).done
    assert caught.value.status_code == 503


def test_an_error_line_inside_a_stream_is_raised(server: OllamaEmulator, client: ollama.Client) -> None:
    """A line with an error ends the stream for the SDK."""
    server.script.plan(Scripted(text="one two three", fail=Fail(after=2, message="runner died")))
    stream = client.chat("llama3.2", [{"role": "user", "content": "hi"}], stream=True)
    assert next(stream).message.content == "one"
    assert next(stream).message.content == " two"
    with pytest.raises(ollama.ResponseError, match="runner died"):
        next(stream)


def test_usage_and_length_are_those_of_the_plan(server: OllamaEmulator, client: ollama.Client) -> None:
    """Planned counts are reported, omitted ones are missing, and a limit ends with `length`."""
    server.script.plan(Scripted(text="x", usage=Usage(input=11, output=22)), Scripted(text="y", usage="omit"))
    asked = [{"role": "user", "content": "one two three four"}]
    counted = client.chat("llama3.2", asked)
    assert (counted.prompt_eval_count, counted.eval_count) == (11, 22)
    assert client.chat("llama3.2", asked).eval_count is None
    limited = client.chat("llama3.2", asked, options={"num_predict": 3})
    assert (limited.message.content, limited.done_reason) == ("You said: one", "length")


def test_the_same_port_speaks_openai(server: OllamaEmulator) -> None:
    """Ollama serves `/v1` too, with the same memory, and names its reasoning `reasoning`."""
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="qwen3:8b", messages=[{"role": "user", "content": "hi"}], reasoning_effort="low"
        )
        assert "llama3.2:latest" in [model.id for model in client.models.list()]
    assert answer.choices[0].message.content == "You said: hi"
    assert (answer.choices[0].message.model_extra or {})["reasoning"] == "Thinking about: hi"
    assert server.resident == ["qwen3:8b"]


def test_the_root_and_the_version_answer(server: OllamaEmulator) -> None:
    """Probes get what Ollama says."""
    with openai.OpenAI(base_url=server.url, api_key="any") as raw:
        assert raw.get("/", cast_to=str) == "Ollama is running"
        assert json.loads(raw.get("/api/version", cast_to=str)) == {"version": "0.40.1"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, 300.0),
        (0, 0.0),
        ("0", 0.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        (-1, -1.0),
        ("-1m", -60.0),
    ],
)
def test_keep_alive_is_seconds_or_a_go_duration(given: object, seconds: float) -> None:
    """All the forms that Ollama reads."""
    assert keep_alive_seconds(given, 300.0) == seconds
