"""Four callers in front, three kinds of backend behind: all that can be asked comes through, whichever way it is translated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.flow.callers import CALLERS, refusal
from tests.flow.questions import TOOL, WEATHER, Caller, Question
from tests.flow.stage import EMBEDDERS, MODELS, Stage
from tests.upstreams import Call, Script, Scripted, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

STOPPED = {"openai": "stop", "ollama": "stop", "anthropic": "end_turn", "native": ""}
CUT_SHORT = {"openai": "length", "ollama": "length", "anthropic": "max_tokens", "native": ""}
CALLED = {"openai": "tool_calls", "ollama": "stop", "anthropic": "tool_use", "native": ""}


@pytest.fixture(scope="module")
def callers(stage: Stage) -> Iterator[dict[str, Caller]]:
    made: dict[str, Caller] = {kind.name: kind(stage.junto.url) for kind in CALLERS}
    yield made
    for caller in made.values():
        caller.close()


@pytest.fixture(params=[kind.name for kind in CALLERS])
def caller(request: pytest.FixtureRequest, callers: dict[str, Caller]) -> Caller:
    return callers[request.param]


@STREAM
def test_a_question_is_answered(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    heard = caller.ask(model, Question(prompt="how are you today?", stream=stream))
    assert heard.text == "You said: how are you today?"
    assert heard.finish == STOPPED[caller.name]
    assert (heard.prompt_tokens, heard.output_tokens) == (4, 6)
    assert [ask.model for ask in script.asks] == [model]
    assert script.asks[0].stream is stream


@STREAM
def test_text_beyond_ascii_arrives_as_it_was_said(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    text = 'Grüße, "Welt"\n\t\\ — 你好 👩‍👩‍👧 \u2028 end'
    script.plan(Scripted(text=text, pieces=(text[:7], text[7:19], text[19:])))
    assert caller.ask(model, Question(prompt=f"say {text}", stream=stream)).text == text
    assert script.asks[0].prompt == f"say {text}"


@STREAM
def test_a_limit_of_tokens_cuts_the_answer_and_says_so(
    caller: Caller, model: str, script: Script, *, stream: bool
) -> None:
    heard = caller.ask(model, Question(prompt="one two three four", stream=stream, max_tokens=3))
    assert heard.text == "You said: one"
    assert heard.finish == CUT_SHORT[caller.name]
    assert script.asks[0].max_tokens == 3


@STREAM
def test_a_tool_is_called_and_its_result_comes_back(
    caller: Caller, model: str, script: Script, *, stream: bool
) -> None:
    first = caller.ask(model, Question(prompt=f"please {TOOL}", stream=stream, tools=True))
    assert first.calls == ((TOOL, {"city": "text", "days": 7}),)
    assert first.finish == CALLED[caller.name]
    again = Question(prompt=f"please {TOOL}", stream=stream, tools=True, replayed=first, result="sunny, 21 °C")
    assert caller.ask(model, again).text == "The tool said: sunny, 21 °C"
    assert script.asks[0].tools == {TOOL: WEATHER}


@STREAM
def test_text_and_several_calls_keep_their_order(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    calls = (Call(TOOL, {"city": "Bern", "days": 1}), Call(TOOL, {"city": 'Z"ürich', "days": 2}))
    script.plan(Scripted(text="Let me look.", tool_calls=calls))
    heard = caller.ask(model, Question(prompt="compare", stream=stream, tools=True))
    assert heard.text == "Let me look."
    assert heard.calls == tuple((call.name, dict(call.arguments)) for call in calls)


@STREAM
def test_thinking_comes_apart_from_the_answer(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    if caller.name == "native":
        pytest.skip("the native dialect has no word for thinking")
    heard = caller.ask(model, Question(prompt="why is it so?", stream=stream, think=True))
    assert script.asks[0].think
    assert heard.thinking == "Thinking about: why is it so?"
    assert heard.text == "You said: why is it so?"


def test_signed_thinking_goes_back_to_anthropic_as_it_came(callers: dict[str, Caller]) -> None:
    """The emulator refuses thinking whose signature is not its own, byte for byte."""
    caller = callers["anthropic"]
    question = Question(prompt=f"please {TOOL}", tools=True, think=True)
    first = caller.ask("claude-test", question)
    assert first.thinking
    again = Question(prompt=question.prompt, tools=True, think=True, replayed=first, result="rain")
    assert caller.ask("claude-test", again).text == "The tool said: rain"


def test_anthropics_own_headers_go_with_a_relay_and_the_callers_key_does_not(
    stage: Stage, callers: dict[str, Caller]
) -> None:
    script = stage.scripts["anthropic"]
    script.clear()
    headers = {"anthropic-beta": "one-2025-01-01,two", "anthropic-version": "2025-01-01", "x-other": "stays"}
    callers["anthropic"].ask("claude-test", Question(prompt="hi", headers=headers))
    [received] = script.inferences
    assert received.headers["anthropic-beta"] == "one-2025-01-01,two"
    assert received.headers["anthropic-version"] == "2025-01-01"
    assert not {"x-other", "x-api-key", "authorization"} & received.headers.keys()


@STREAM
def test_an_image_is_seen(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    heard = caller.ask(model, Question(prompt="what is this?", stream=stream, image=True))
    assert heard.text == "You said: what is this? (and showed 1 image)"
    assert script.asks[0].images == 1


@STREAM
def test_an_answer_takes_the_form_of_a_schema(caller: Caller, model: str, script: Script, *, stream: bool) -> None:
    if caller.name == "native":
        pytest.skip("the native dialect asks for no form")
    heard = caller.ask(model, Question(prompt="the weather, please", stream=stream, schema=True))
    assert json.loads(heard.text) == {"city": "text", "days": 7}
    assert script.asks[0].schema == WEATHER


def test_usage_is_the_upstreams_own_and_the_same_in_both_forms(caller: Caller, model: str, script: Script) -> None:
    used = Usage(input=11, output=7, cache_read=5, reasoning=2)
    script.plan(Scripted(text="a b c", usage=used), Scripted(text="a b c", usage=used))
    whole, streamed = (caller.ask(model, Question(prompt="count", stream=stream)) for stream in (False, True))
    assert (whole.prompt_tokens, whole.output_tokens) == (16, 7)
    assert (streamed.prompt_tokens, streamed.output_tokens) == (16, 7)


@pytest.mark.parametrize("asks", ["openai", "ollama"])
@pytest.mark.parametrize("kind", list(EMBEDDERS))
def test_texts_become_the_same_vectors_whoever_asks(callers: dict[str, Caller], asks: str, kind: str) -> None:
    texts = ["one text", "another"]
    vectors = callers[asks].embed(EMBEDDERS[kind], texts)
    again = callers["ollama"].embed(EMBEDDERS[kind], texts[1:])
    assert [len(vector) for vector in vectors] == [64, 64]
    assert vectors[0] != vectors[1]
    assert vectors[1] == pytest.approx(again[0], abs=1e-6)


@pytest.mark.parametrize("asks", ["openai", "ollama"])
def test_embeddings_of_a_backend_that_has_none_are_refused(callers: dict[str, Caller], asks: str) -> None:
    status, message = refusal(lambda: callers[asks].embed("claude-test", ["text"]))
    assert status == 400
    assert "does not do embeddings" in message


def test_every_model_is_listed(caller: Caller) -> None:
    listed = caller.models()
    assert {*MODELS.values(), *EMBEDDERS.values(), "fast", "quality"} <= set(listed)
    assert len(listed) == len(set(listed))


@STREAM
def test_an_unknown_model_is_refused_with_near_names(caller: Caller, *, stream: bool) -> None:
    status, message = refusal(lambda: caller.ask("gpt-tost", Question(prompt="hi", stream=stream)))
    assert status == 404
    assert "gpt-test" in message
