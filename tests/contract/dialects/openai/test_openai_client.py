"""OpenAI's official client against Junto's codecs: what it sends is understood, what it gets it understands. No socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from junto.core.chat import ChatRequest, Text, Thinking, ToolCall
from junto.core.completion import Completion, Embeddings, unfold
from junto.core.errors import InvalidField, UnknownModel, UpstreamFailed
from junto.core.events import FinishReason
from junto.core.usage import Usage
from junto.dialects.openai import CHAT, COMPLETIONS, EMBEDDINGS
from junto.dialects.wire import Rendering

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

ANSWER = Completion(
    parts=(Thinking("Hm."), Text("Bonjour \u00e4"), ToolCall("call_a", "get_weather", '{"city":"Paris"}')),
    reason=FinishReason.TOOL_CALLS,
    usage=Usage(input=20, cache_read=6, output=9, reasoning=4),
)
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How warm is it?"}]
TOOLS: list[ChatCompletionToolParam] = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
RENDERING = Rendering(id="answer-1", model="mine", created=1_700_000_000)


def client(answer: Callable[[bytes], tuple[int, str, bytes]]) -> openai.OpenAI:
    """A client whose requests are answered by a function: body to status, content type and body."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        status, content_type, body = answer(request.read())
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(handle))
    return openai.OpenAI(api_key="jt_x", base_url="http://junto.test/v1", http_client=http, max_retries=0)


def test_a_whole_chat() -> None:
    """The request is read, the answer's every part is found by the client."""
    heard: list[ChatRequest] = []

    def answer(body: bytes) -> tuple[int, str, bytes]:
        assert CHAT.peek(body).model == "mine"
        request = CHAT.parse_request(body)
        assert isinstance(request, ChatRequest)
        heard.append(request)
        return 200, CHAT.whole_type, CHAT.render_response(ANSWER, RENDERING)

    got = client(answer).chat.completions.create(model="mine", messages=ASKED, tools=TOOLS, max_tokens=5)
    assert heard[0].messages[0].text == "How warm is it?"
    assert heard[0].sampling.max_tokens == 5
    message = got.choices[0].message
    assert (message.content, got.choices[0].finish_reason) == ("Bonjour \u00e4", "tool_calls")
    assert message.model_extra == {"reasoning_content": "Hm."}
    assert message.tool_calls is not None
    assert message.tool_calls[0].to_dict() == {
        "id": "call_a",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
    }
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (26, 9, 35)
    assert got.usage.prompt_tokens_details is not None
    assert got.usage.prompt_tokens_details.cached_tokens == 6


def test_a_streamed_chat() -> None:
    """The client's own helper puts the stream together to the same answer."""

    def answer(body: bytes) -> tuple[int, str, bytes]:
        head = CHAT.peek(body)
        assert (head.stream, head.wants_usage) == (True, True)
        return 200, CHAT.stream_type, CHAT.event_renderer(RENDERING).render(list(unfold(ANSWER)))

    with client(answer).chat.completions.stream(
        model="mine", messages=ASKED, tools=TOOLS, stream_options={"include_usage": True}
    ) as stream:
        got = stream.get_final_completion()
    assert got.choices[0].message.content == "Bonjour \u00e4"
    assert got.choices[0].message.tool_calls is not None
    assert got.choices[0].message.tool_calls[0].function.arguments == '{"city":"Paris"}'
    assert got.choices[0].finish_reason == "tool_calls"
    assert got.usage is not None
    assert got.usage.total_tokens == 35


def test_an_error_in_a_stream_is_raised_by_the_client() -> None:
    """The client sees Junto's words as an error, not as the end of a good answer."""

    def answer(_body: bytes) -> tuple[int, str, bytes]:
        renderer = CHAT.event_renderer(RENDERING)
        begun = renderer.render(list(unfold(ANSWER))[:2])
        return 200, CHAT.stream_type, begun + renderer.error(UpstreamFailed("The answer broke off."))

    stream = client(answer).chat.completions.create(model="mine", messages=ASKED, stream=True)
    with pytest.raises(openai.APIError, match=r"The answer broke off\."):
        list(stream)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InvalidField("bad", param="n"), openai.UnprocessableEntityError),
        (UnknownModel("no such model"), openai.NotFoundError),
    ],
)
def test_errors_are_what_the_client_expects(
    error: InvalidField | UnknownModel, raised: type[openai.APIStatusError]
) -> None:
    """Status, code and param arrive."""
    with pytest.raises(raised) as caught:
        client(lambda _: (error.status, CHAT.whole_type, CHAT.render_error(error))).chat.completions.create(
            model="mine", messages=ASKED
        )
    assert (caught.value.code, caught.value.param) == (error.code, error.param)


def test_a_text_completion() -> None:
    """Whole and streamed."""

    def answer(body: bytes) -> tuple[int, str, bytes]:
        request = COMPLETIONS.parse_request(body)
        if request.stream:  # type: ignore[union-attr]
            return 200, COMPLETIONS.stream_type, COMPLETIONS.event_renderer(RENDERING).render(list(unfold(ANSWER)))
        return 200, COMPLETIONS.whole_type, COMPLETIONS.render_response(ANSWER, RENDERING)

    whole = client(answer).completions.create(model="mine", prompt="Say it")
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("Bonjour \u00e4", "stop")
    chunks = list(client(answer).completions.create(model="mine", prompt="Say it", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Bonjour \u00e4"


def test_embeddings_in_base64_which_the_client_asks_for_by_itself() -> None:
    """The client decodes what Junto packs."""

    def answer(body: bytes) -> tuple[int, str, bytes]:
        request: Any = EMBEDDINGS.parse_request(body)
        assert request.base64 is True
        vectors = tuple((float(len(text)), -0.5) for text in request.inputs)
        rendering = Rendering(id="", model="mine", created=0, base64=request.base64)
        return 200, EMBEDDINGS.whole_type, EMBEDDINGS.render_response(Embeddings(vectors=vectors), rendering)

    got = client(answer).embeddings.create(model="mine", input=["a", "bcd"])
    assert [item.embedding for item in got.data] == [[1.0, -0.5], [3.0, -0.5]]


def test_a_relayed_body_of_the_client_is_not_touched() -> None:
    """What the client sends is compact: with the same model name the bytes stay the same object."""
    relayed: list[bool] = []

    def answer(body: bytes) -> tuple[int, str, bytes]:
        relayed.append(CHAT.relay_request(body, "mine") is body)
        assert json.loads(CHAT.relay_request(body, "other"))["model"] == "other"
        return 200, CHAT.whole_type, CHAT.render_response(ANSWER, RENDERING)

    client(answer).chat.completions.create(model="mine", messages=ASKED)
    assert relayed == [True]
