"""The callers of flow tests: the official SDKs and plain HTTP for the native dialect, each behind the same four questions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import ollama
import openai

from tests.flow.questions import PIXEL, TOOL, WEATHER, Heard, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OPENAI_TOOL = {
    "type": "function",
    "function": {"name": TOOL, "description": "Tells the weather.", "parameters": WEATHER},
}


def refusal(ask: Callable[[], object]) -> tuple[int, str]:
    """The status and message with which a question is refused."""
    try:
        answered = ask()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return error.status_code, error.message
    except ollama.ResponseError as error:
        return error.status_code, error.error
    except httpx2.HTTPStatusError as error:
        return error.response.status_code, error.response.text
    raise AssertionError(f"not refused: {answered!r}")


class OpenAICaller:
    """The official `openai` client, chat completions."""

    name = "openai"

    def __init__(self, url: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)

    def ask(self, model: str, question: Question) -> Heard:
        asked: dict[str, Any] = {"messages": openai_messages(question), "extra_headers": question.headers}
        if question.tools:
            asked["tools"] = [OPENAI_TOOL]
        if question.think:
            asked["reasoning_effort"] = "high"
        if question.schema:
            schema = {"name": "weather", "schema": WEATHER, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        if question.max_tokens is not None:
            asked["max_completion_tokens"] = question.max_tokens
        if question.stream:
            return self._streamed(model, asked)
        answer = self._client.chat.completions.create(model=model, **asked)
        choice, usage = answer.choices[0], answer.usage
        assert usage is not None
        said = choice.message.model_dump(exclude_none=True)
        return openai_heard(said, choice.finish_reason, usage)

    def _streamed(self, model: str, asked: dict[str, Any]) -> Heard:
        with self._client.chat.completions.stream(
            model=model, stream_options={"include_usage": True}, **asked
        ) as stream:
            thinking = "".join(
                getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
                for event in stream
                if event.type == "chunk" and event.chunk.choices
            )
            answer = stream.current_completion_snapshot
        choice, usage = answer.choices[0], answer.usage
        assert usage is not None
        said = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
        for call in said.get("tool_calls", ()):
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
        return openai_heard(said | {"reasoning_content": thinking}, choice.finish_reason, usage)

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [each.embedding for each in self._client.embeddings.create(model=model, input=list(texts)).data]

    def models(self) -> list[str]:
        return [model.id for model in self._client.models.list()]

    def close(self) -> None:
        self._client.close()


def openai_messages(question: Question) -> list[dict[str, Any]]:
    """The conversation as OpenAI's callers write it."""
    content: Any = question.prompt
    if question.image:
        shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        content = [{"type": "text", "text": question.prompt}, shown]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if question.replayed is not None:
        answer = {"role": "tool", "tool_call_id": question.replayed.call_id, "content": question.result}
        messages += [question.replayed.said, answer]
    return messages


def openai_heard(said: dict[str, Any], finish: str, usage: Any) -> Heard:
    """An assistant's message as heard."""
    calls = said.get("tool_calls") or []
    return Heard(
        text=said.get("content") or "",
        thinking=said.get("reasoning_content") or "",
        calls=tuple((call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls),
        prompt_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        finish=finish,
        said=said,
        call_id=calls[0]["id"] if calls else "",
    )


class OllamaCaller:
    """The official `ollama` client, chat."""

    name = "ollama"

    def __init__(self, url: str) -> None:
        self._client = ollama.Client(host=url)

    def ask(self, model: str, question: Question) -> Heard:
        asked: dict[str, Any] = {"messages": ollama_messages(question)}
        if question.tools:
            asked["tools"] = [OPENAI_TOOL]
        if question.think:
            asked["think"] = True
        if question.schema:
            asked["format"] = WEATHER
        if question.max_tokens is not None:
            asked["options"] = {"num_predict": question.max_tokens}
        if not question.stream:
            answer = self._client.chat(model, **asked)
            return ollama_heard(answer, [answer.message])
        lines = list(self._client.chat(model, stream=True, **asked))
        assert [line.done for line in lines].count(True) == 1
        return ollama_heard(lines[-1], [line.message for line in lines])

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [list(vector) for vector in self._client.embed(model, list(texts)).embeddings]

    def models(self) -> list[str]:
        return [str(model.model) for model in self._client.list().models]

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


def ollama_messages(question: Question) -> list[dict[str, Any]]:
    """The conversation as Ollama's callers write it."""
    asked: dict[str, Any] = {"role": "user", "content": question.prompt}
    if question.image:
        asked["images"] = [PIXEL]
    if question.replayed is None:
        return [asked]
    return [asked, question.replayed.said, {"role": "tool", "tool_name": TOOL, "content": question.result}]


def ollama_heard(last: ollama.ChatResponse, messages: Sequence[ollama.Message]) -> Heard:
    """The messages of an answer as heard."""
    calls = [call for message in messages for call in message.tool_calls or ()]
    text = "".join(message.content or "" for message in messages)
    thinking = "".join(message.thinking or "" for message in messages)
    said = ollama.Message(role="assistant", content=text, thinking=thinking or None, tool_calls=calls or None)
    return Heard(
        text=text,
        thinking=thinking,
        calls=tuple((call.function.name, dict(call.function.arguments)) for call in calls),
        prompt_tokens=last.prompt_eval_count or 0,
        output_tokens=last.eval_count or 0,
        finish=last.done_reason or "",
        said=said.model_dump(exclude_none=True),
    )


class AnthropicCaller:
    """The official `anthropic` client, messages."""

    name = "anthropic"

    def __init__(self, url: str) -> None:
        self._client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)

    def ask(self, model: str, question: Question) -> Heard:
        asked: dict[str, Any] = {
            "model": model,
            "messages": anthropic_messages(question),
            "max_tokens": question.max_tokens or 4096,
            "extra_headers": question.headers,
        }
        if question.tools:
            asked["tools"] = [{"name": TOOL, "description": "Tells the weather.", "input_schema": WEATHER}]
        if question.think:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if question.schema:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": WEATHER}}
        if not question.stream:
            return anthropic_heard(self._client.messages.create(**asked))
        with self._client.messages.stream(**asked) as stream:
            return anthropic_heard(stream.get_final_message())

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError("Anthropic has no embeddings")

    def models(self) -> list[str]:
        return [model.id for model in self._client.models.list()]

    def close(self) -> None:
        self._client.close()


def anthropic_messages(question: Question) -> list[dict[str, Any]]:
    """The conversation as Anthropic's callers write it."""
    content: Any = question.prompt
    if question.image:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": question.prompt}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if question.replayed is not None:
        result = {"type": "tool_result", "tool_use_id": question.replayed.call_id, "content": question.result}
        messages += [question.replayed.said, {"role": "user", "content": [result]}]
    return messages


def anthropic_heard(answer: Any) -> Heard:
    """A message as heard."""
    blocks = answer.content
    calls = [block for block in blocks if block.type == "tool_use"]
    usage = answer.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Heard(
        text="".join(block.text for block in blocks if block.type == "text"),
        thinking="".join(block.thinking for block in blocks if block.type == "thinking"),
        calls=tuple((call.name, dict(call.input)) for call in calls),
        prompt_tokens=usage.input_tokens + cached,
        output_tokens=usage.output_tokens,
        finish=answer.stop_reason or "",
        said={"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in blocks]},
        call_id=calls[0].id if calls else "",
    )


class NativeCaller:
    """Plain HTTP to `/complete` and `/complete/stream`; its messages are in OpenAI's shape."""

    name = "native"

    def __init__(self, url: str) -> None:
        self._client = httpx2.Client(base_url=url, timeout=30)

    def ask(self, model: str, question: Question) -> Heard:
        body: dict[str, Any] = {"model": model, "messages": openai_messages(question)}
        if question.tools:
            body["tools"] = [OPENAI_TOOL]
        if question.max_tokens is not None:
            body["max_tokens"] = question.max_tokens
        path = "/complete/stream" if question.stream else "/complete"
        response = self._client.post(path, json=body, headers=question.headers).raise_for_status()
        if not question.stream:
            return native_heard(response.json(), response.json()["content"])
        lines = [json.loads(line) for line in response.text.splitlines()]
        assert [line["type"] for line in lines] == ["chunk"] * (len(lines) - 1) + ["done"]
        return native_heard(lines[-1], "".join(line["text"] for line in lines[:-1]))

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError("the native dialect has no embeddings")

    def models(self) -> list[str]:
        return [model["id"] for model in self._client.get("/v1/models").json()["data"]]

    def close(self) -> None:
        self._client.close()


def native_heard(last: dict[str, Any], text: str) -> Heard:
    """A native answer, or the last line of a stream and the text before it, as heard."""
    calls = last.get("tool_calls") or []
    return Heard(
        text=text,
        calls=tuple((call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls),
        prompt_tokens=last["usage"]["prompt_tokens"],
        output_tokens=last["usage"]["completion_tokens"],
        said={"role": "assistant", "content": text, "tool_calls": calls},
        call_id=calls[0]["id"] if calls else "",
    )


CALLERS: tuple[type[OpenAICaller | OllamaCaller | AnthropicCaller | NativeCaller], ...] = (
    OpenAICaller,
    OllamaCaller,
    AnthropicCaller,
    NativeCaller,
)
