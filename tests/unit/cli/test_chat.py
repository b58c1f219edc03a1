"""`junto chat`: streams, who answered, conversations, stopping."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from junto.cli.chat import Talk, converse
from junto.cli.conversation import Answered, ask
from junto.cli.remote import Junto, RemoteError
from tests.unit.cli.running import FakeJunto, nobody, refused, run, said

PATH = "/v1/chat/completions"
WHO = {"x-junto-model": "llama3.2:3b", "x-junto-backend": "desk"}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(**said: str) -> bytes:
    return event({"model": "fast", "choices": [{"index": 0, "delta": said}]})


MODELS = {"/v1/models": said({"data": [{"id": "small"}, {"id": "fast"}]})}
USAGE = event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
DONE = b"data: [DONE]\n\n"


class Pieces(httpx2.SyncByteStream):
    """A body that comes in these pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed = True


def streaming(*pieces: bytes | BaseException, headers: dict[str, str] = WHO) -> FakeJunto:
    return FakeJunto({PATH: lambda _: httpx2.Response(200, headers=headers, stream=Pieces(*pieces)), **MODELS})


class Shown:
    """Implements Screen by remembering."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | int]] = []

    def text(self, piece: str) -> None:
        self.seen.append(("text", piece))

    def thinking(self, piece: str) -> None:
        self.seen.append(("thinking", piece))

    def waiting(self, place: int) -> None:
        self.seen.append(("waiting", place))


def answer(fake: FakeJunto, screen: Shown | None = None) -> Answered:
    junto = Junto("http://junto", None, transport=httpx2.MockTransport(fake))
    times = iter(range(100))
    return ask(junto, "fast", [], screen or Shown(), clock=lambda: float(next(times)))


def test_the_answer_goes_to_standard_output_and_the_rest_to_standard_error() -> None:
    """So that `junto chat question > file` holds the answer alone."""
    result = run(streaming(delta(content="Hel"), delta(content="lo"), USAGE, DONE), "chat", "hi")
    assert result.exit_code == 0
    assert result.stdout == "Hello\n"
    assert result.stderr.startswith("llama3.2:3b on desk · 12 tokens in, 3 out · ")


def test_what_is_asked() -> None:
    """Model, system prompt and tier are passed on; usage is asked for."""
    fake = streaming(delta(content="x"), DONE)
    run(fake, "chat", "hi", "-m", "desk/x", "--system", "Be brief.", "--sensitivity", "confidential")
    assert fake.body == {
        "model": "desk/x",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert fake.asked[-1].headers["x-junto-sensitivity"] == "confidential"


@pytest.mark.parametrize(("names", "asked"), [(["small", "fast"], "fast"), (["small", "large"], "small"), ([], "fast")])
def test_the_model_when_none_is_named(names: list[str], asked: str) -> None:
    """`fast` where there is such a group, else the first name of the list."""
    fake = streaming(delta(content="x"), DONE)
    fake.answers = {**fake.answers, "/v1/models": said({"data": [{"id": name} for name in names]})}
    run(fake, "chat", "hi")
    assert fake.body["model"] == asked


def test_a_question_through_a_pipe() -> None:
    """Without an argument the question is what comes on standard input."""
    fake = streaming(delta(content="x"), DONE)
    run(fake, "chat", input="from a pipe\n")
    assert fake.body["messages"] == [{"role": "user", "content": "from a pipe"}]


def test_thinking_is_shown_apart() -> None:
    """Both spellings of reasoning are thinking, not answer."""
    screen = Shown()
    answered = answer(streaming(delta(reasoning_content="hm"), delta(reasoning="so"), delta(content="a"), DONE), screen)
    assert screen.seen == [("thinking", "hm"), ("thinking", "so"), ("text", "a")]
    assert answered.text == "a"


def test_a_pipe_gets_no_thinking() -> None:
    """Where output is not a terminal, only the answer is written."""
    result = run(streaming(delta(reasoning_content="hm"), delta(content="a"), DONE), "chat", "hi")
    assert result.stdout == "a\n"


def test_the_place_in_the_queue() -> None:
    """Junto's comment about the queue is told."""
    screen = Shown()
    answer(streaming(b": queued, place 3\n\n", delta(content="a"), DONE, headers={}), screen)
    assert screen.seen[0] == ("waiting", 3)


def test_who_answered_without_headers() -> None:
    """A stream that waited has sent its head already: the chunks name the model that was asked for."""
    assert answer(streaming(delta(content="a"), DONE, headers={})).model == "fast"


def test_a_fallback_is_said() -> None:
    """The summary says when another than the first candidate answered."""
    answered = answer(streaming(delta(content="a"), DONE, headers={**WHO, "x-fallback-model": "llama3.2:3b"}))
    assert answered.summary().startswith("llama3.2:3b on desk (fallback) · ")


def test_ctrl_c_keeps_what_was_said_and_closes_the_stream() -> None:
    """KeyboardInterrupt in the middle ends the answer; the connection is closed, which stops the model."""
    stream = Pieces(delta(content="Once "), KeyboardInterrupt())
    answered = answer(FakeJunto({PATH: lambda _: httpx2.Response(200, headers=WHO, stream=stream)}))
    assert (answered.text, answered.stopped) == ("Once ", True)
    assert stream.closed
    assert answered.summary().endswith("· stopped")


def test_ctrl_c_in_a_single_question_ends_with_130() -> None:
    """As a shell expects of an interrupted command."""
    assert run(streaming(delta(content="Once "), KeyboardInterrupt()), "chat", "hi").exit_code == 130


def test_an_error_in_the_stream() -> None:
    """What was said stays, the error follows, and the command fails."""
    result = run(streaming(delta(content="Once "), event({"error": {"message": "It broke off."}})), "chat", "hi")
    assert result.exit_code == 1
    assert result.stdout == "Once \n"
    assert result.stderr.startswith("It broke off.\n")


def test_a_connection_that_breaks_before_the_first_word() -> None:
    """No answer at all is an error of the command."""
    result = run(streaming(httpx2.ReadError("reset")), "chat", "hi")
    assert result.exit_code == 1
    assert "connection to Junto at http://127.0.0.1:11430 broke" in result.stderr


@pytest.mark.parametrize("noise", [b"data: {no json\n\n", b"data: 5\n\n", b"event: x\n\n", b": c\n\n"])
def test_noise_in_the_stream_is_passed_over(noise: bytes) -> None:
    """Events that are no chunks are nothing to show."""
    assert answer(streaming(noise, delta(content="a"), DONE)).text == "a"


def test_an_unknown_model() -> None:
    """Junto's words, with the near names in them."""
    fake = FakeJunto({**MODELS, PATH: refused(404, "model_not_found", "There is no model 'x' here. Did you mean y?")})
    result = run(fake, "chat", "hi")
    assert result.exit_code == 1
    assert result.stderr == "There is no model 'x' here. Did you mean y?\n"


def test_escape_sequences_of_a_model_do_not_reach_the_terminal() -> None:
    """A model's words cannot drive the terminal, and brackets are no markup."""
    result = run(streaming(delta(content="\x1b[2J[red]x"), DONE), "chat", "hi")
    assert result.stdout == "�[2J[red]x\n"


def test_no_junto() -> None:
    """The same words as from any other command."""
    assert "start it with `junto serve`" in run(nobody, "chat", "hi").stderr


class Keys:
    """What a person types, a line or Ctrl-C at a time, then Ctrl-D."""

    def __init__(self, *lines: str | BaseException) -> None:
        self.lines = iter(lines)

    def __call__(self, prompt: str) -> str:
        line = next(self.lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line


def converse_with(fake: FakeJunto, *lines: str | BaseException) -> list[Any]:
    """The bodies that were asked in a conversation."""
    junto = Junto("http://junto", None, transport=httpx2.MockTransport(fake))
    converse(Talk(junto, "fast", system="S"), Keys(*lines))
    return [json.loads(request.content) for request in fake.asked]


def roles(body: Any) -> str:
    return " ".join(message["role"] for message in body["messages"])


def test_a_conversation_remembers() -> None:
    """Each question goes with everything said before it; an empty line asks nothing."""
    first, second = converse_with(streaming(delta(content="a"), DONE), "one", "", "two")
    assert roles(first) == "system user"
    assert roles(second) == "system user assistant user"


def test_a_conversation_can_begin_anew_and_change_the_model() -> None:
    """/new keeps the system prompt only; /model is asked from then on."""
    _, second = converse_with(
        streaming(delta(content="a"), DONE), "one", "/new", "/model other", "two", "/bye", "three"
    )
    assert roles(second) == "system user"
    assert second["model"] == "other"


def test_ctrl_c_at_the_prompt_ends_nothing() -> None:
    """Only /bye and Ctrl-D end the conversation."""
    assert len(converse_with(streaming(delta(content="a"), DONE), KeyboardInterrupt(), "one")) == 1


def test_a_stopped_answer_is_remembered_as_far_as_it_went() -> None:
    """Ctrl-C in an answer leaves its beginning in the conversation."""
    _, second = converse_with(streaming(delta(content="Once "), KeyboardInterrupt()), "one", "go on")
    assert second["messages"][2] == {"role": "assistant", "content": "Once "}


def test_an_error_does_not_end_a_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told, its question is forgotten, and the next one is asked."""
    _, second = converse_with(FakeJunto({PATH: refused(503, "overloaded", "Busy.")}), "one", "two")
    assert roles(second) == "system user"
    assert capsys.readouterr().err.count("Busy.") == 2


def test_an_unknown_command_shows_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """And asks nothing."""
    assert converse_with(FakeJunto({}), "/what") == []
    assert capsys.readouterr().out.count("/bye") == 2


def test_ask_raises_when_no_answer_begins() -> None:
    """So that a conversation can tell it and go on."""
    with pytest.raises(RemoteError):
        answer(streaming(event({"error": {"message": "no"}})))
