"""Callers that do not wait for an answer before they ask again: each answer is its own request's, and nothing piles up."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from junto.web.server import MOST_PIPELINED, PIECE_BYTES, JuntoProtocol
from tests.flow.raw_caller import RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
MISSING = b"GET /nothing-here HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
TOO_MANY_HEADERS = b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n"
HANGING = Scripted(pieces=("Once ", "upon ", "a time "), fail=Fail(how="hang", after=1))


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory, upstream: OpenAIEmulator) -> Iterator[RunningJunto]:
    config = {"backends": [{"name": "gpts", "provider": "openai", "url": upstream.base_url}]}
    with RunningJunto(tmp_path_factory.mktemp("data"), config) as running:
        yield running


@pytest.fixture
def caller(junto: RunningJunto) -> Iterator[RawCaller]:
    with RawCaller(junto.port) as raw:
        yield raw


def test_what_comes_together_with_a_wish_to_upgrade_is_answered_in_its_turn(caller: RawCaller) -> None:
    caller.send(UPGRADE + MISSING + UPGRADE + LIVE)
    assert [caller.answer()[0] for _ in range(4)] == [200, 404, 200, 200]


def test_a_body_behind_a_wish_to_upgrade_is_not_taken_for_a_request(caller: RawCaller) -> None:
    """The head came in one read with the wish, the body does not: it is a body all the same."""
    hidden = LIVE
    caller.send(UPGRADE + b"POST /nothing-here HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(hidden))
    assert caller.answer()[0] == 200
    caller.send(hidden + MISSING)
    assert [caller.answer()[0] for _ in range(2)] == [404, 404]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_wish_to_upgrade_with_a_body_keeps_its_body(caller: RawCaller, *, chunked: bool, apart: bool) -> None:
    """Java's own client asks so over plain HTTP; were the body a request of its own, whoever writes it could ask for another."""
    body = json.dumps({"model": "gpt-test", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n"
    head += "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nX-Junto-Sensitivity: public\r\n\r\n"
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for _ in range(2):
        caller.send(head.encode())
        if apart:
            time.sleep(0.05)
        caller.send(body + MISSING + LIVE)
        assert [caller.answer()[0] for _ in range(3)] == [200, 404, 200]


def test_a_body_that_looks_like_a_request_is_not_answered(caller: RawCaller) -> None:
    head = b"POST /nothing-here HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: foo\r\n"
    caller.send(head + b"Content-Length: %d\r\n\r\n" % len(LIVE))
    time.sleep(0.05)
    caller.send(LIVE + MISSING)
    assert [caller.answer()[0] for _ in range(2)] == [404, 404]


@pytest.mark.parametrize("nonsense", [TOO_MANY_HEADERS, b"nonsense\r\n\r\n"], ids=["headers", "nonsense"])
@pytest.mark.parametrize("between", [b"", LIVE], ids=["directly", "behind another"])
def test_a_refusal_is_never_written_into_an_answer_that_is_under_way(
    caller: RawCaller, upstream: OpenAIEmulator, between: bytes, nonsense: bytes
) -> None:
    upstream.script.plan(HANGING)
    caller.send(request_bytes(*chat_request("openai", "gpt-test", "Hello", stream=True)))
    caller.read_until(b"Once")
    caller.send(between + nonsense)
    assert caller.read_to_end().count(b"HTTP/1.1") == 1


def test_requests_that_come_together_with_nonsense_are_refused_together_and_not_done(
    caller: RawCaller, upstream: OpenAIEmulator
) -> None:
    before = len(upstream.script.inferences)
    caller.send(request_bytes(*chat_request("openai", "gpt-test", "Hello", stream=False)) + b"nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", caller.read_to_end()) == [b"400"]
    assert len(upstream.script.inferences) == before


def test_a_caller_that_asks_and_asks_is_read_no_further_than_it_is_answered(
    caller: RawCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come in one read, few are made requests before those ahead of them are answered; all are, in order."""
    waiting: list[int] = []
    answered = JuntoProtocol.on_response_complete

    def watched(self: JuntoProtocol) -> None:
        waiting.append(len(self.pipeline))
        answered(self)

    monkeypatch.setattr(JuntoProtocol, "on_response_complete", watched)
    asked = 1000
    sending = threading.Thread(target=caller.send, args=(b"HEAD / HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\n\r\n" * asked,))
    sending.start()
    while caller.read_more().count(b"HTTP/1.1 405 ") < asked:
        pass
    sending.join()
    assert re.findall(rb"HTTP/1.1 (\d+) ", caller.heard) == [b"200", b"405"] * asked
    assert max(waiting) <= MOST_PIPELINED + PIECE_BYTES // len(b"PUT / HTTP/1.1\r\n\r\n") + 1


def test_a_follower_that_goes_is_noticed_though_it_has_asked_for_more(
    junto: RunningJunto, caller: RawCaller, upstream: OpenAIEmulator
) -> None:
    upstream.script.plan(HANGING)
    job = {"task_type": "tale", "prompt": "Hello", "model": "gpt-test", "sensitivity": "public", "async": True}
    caller.send(request_bytes("/jobs", job))
    job_id = json.loads(caller.answer()[2])["job_id"]
    caller.send(b"GET /jobs/%b/events HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id.encode() + LIVE)
    caller.read_until(b"event: status")
    assert listeners(junto) == 1
    caller.hang_up()
    until = time.monotonic() + 5
    while listeners(junto) and time.monotonic() < until:
        time.sleep(0.05)
    assert not listeners(junto)
    assert junto.http.delete(f"/jobs/{job_id}", params={"force": True}).is_success


def listeners(junto: RunningJunto) -> int:
    """How many follow some job."""
    news = junto.services.jobs.follower._news
    return junto.call(lambda: sum(map(len, news._listeners.values())))
