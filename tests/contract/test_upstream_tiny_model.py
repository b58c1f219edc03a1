"""The tiny model is a real upstream: llama.cpp's own server answers the real SDKs with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.upstreams import LlamaServer, start_llama_server, write_tiny_model

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "hello you"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """Run one server for all tests here, with embeddings on."""
    model = write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    with start_llama_server(model, embeddings=True) as running:
        yield running


@pytest.fixture
def client(server: LlamaServer) -> Iterator[openai.OpenAI]:
    """Make the real SDK's client for it."""
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=30) as made:
        yield made


def test_the_file_is_small_and_always_the_same(tmp_path: Path) -> None:
    """Half a megabyte at most, byte for byte reproducible."""
    first = write_tiny_model(tmp_path / "a.gguf").read_bytes()
    assert first == write_tiny_model(tmp_path / "b.gguf").read_bytes()
    assert len(first) < 500_000


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    """At temperature 0 the answer is the same words, with usage."""
    whole = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=12, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model="tiny",
            messages=HELLO,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert text.isascii()
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 12


def test_a_json_schema_is_enforced(client: openai.OpenAI) -> None:
    """The grammar makes even nonsense fit the schema."""
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        max_tokens=80,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "shape", "schema": schema}},
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"n", "ok"}


def test_embeddings_are_of_the_models_width(client: openai.OpenAI) -> None:
    """Two texts give two different vectors."""
    answer = client.embeddings.create(model="tiny", input=["hello", "other"])
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    assert answer.data[0].embedding != answer.data[1].embedding


def test_it_speaks_anthropic_too(server: LlamaServer) -> None:
    """The same server answers the Anthropic SDK."""
    with anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0, timeout=30) as client:
        answer = client.messages.create(
            model="tiny",
            max_tokens=5,
            messages=[{"role": "user", "content": "hello you"}],
            extra_body={"temperature": 0},
        )
    assert answer.content[0].type == "text"
    assert answer.usage.output_tokens == 5


def test_a_killed_server_starts_again_on_its_port(tmp_path: Path) -> None:
    """A kill ends the process at once; a start brings the same address back."""
    server = start_llama_server(write_tiny_model(tmp_path / "tiny.gguf"))
    with server:
        pid = server.pid
        server.kill()
        assert not server.healthy()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        server.start()
        assert server.healthy()
