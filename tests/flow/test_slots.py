"""A backend with one slot: the others wait in order, are told their place, and are sent away where waiting makes no sense."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import httpx2
import pytest

from junto.gateway.slots import SlotPool
from tests.flow.raw_caller import RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMISED = 1.0  # seconds from the end of a deadline to the end of the upstream's work
PLACES = 2


class Narrow:
    """Junto in front of one backend with one slot and a queue of two places; `wide` is a second backend where there is one."""

    def __init__(self, junto: RunningJunto, upstream: OpenAIEmulator) -> None:
        self.junto = junto
        self.script = upstream.script

    def ask(self, prompt: str, *, timeout: str | None = None, model: str = "gpt-test") -> httpx2.Response:
        path, body = chat_request("openai", model, prompt, stream=False)
        headers = {} if timeout is None else {"X-Junto-Timeout": timeout}
        return self.junto.http.post(path, json=body, headers=headers)

    @contextmanager
    def asking(self, dialect: str, prompt: str, *headers: str, stream: bool = False) -> Iterator[RawCaller]:
        """A caller whose request is under way or waiting when the block begins."""
        before = self.junto.busy
        with RawCaller(self.junto.port) as caller:
            path, body = chat_request(dialect, "gpt-test", prompt, stream=stream)
            caller.send(request_bytes(path, body, *headers))
            pause = threading.Event()
            for _ in range(1000):
                if self.junto.busy > before:
                    break
                pause.wait(0.005)
            yield caller

    @contextmanager
    def held(self) -> Iterator[Gate]:
        """The one slot is taken until the gate is opened, at the latest at the end of the block."""
        gate = Gate()
        self.script.plan(Scripted(text="held", gate=gate))
        arrived = len(self.script.inferences)
        with self.asking("openai", "the first") as holder:
            self.script.wait_arrived(arrived + 1)
            yield gate
            gate.open()
            assert holder.answer()[0] == 200


@contextmanager
def narrow_place(data_dir: Path, *others: dict[str, object]) -> Iterator[Narrow]:
    with OpenAIEmulator() as upstream:
        backend = {"name": "narrow", "provider": "openai", "url": upstream.base_url, "slots": 1, "priority": 1}
        slots = partial(SlotPool, queue_limit=PLACES, tell_every=0.02)
        with RunningJunto(data_dir, {"backends": [backend, *others]}, make_slots=slots) as junto:
            yield Narrow(junto, upstream)
            assert junto.falls_idle()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Narrow]:
    with narrow_place(tmp_path / "data") as place:
        yield place


def test_who_waits_is_served_in_order_and_one_at_a_time(narrow: Narrow) -> None:
    with narrow.held() as gate, narrow.asking("ollama", "second") as second, narrow.asking("native", "third") as third:
        assert [ask.prompt for ask in narrow.script.asks] == ["the first"]
        gate.open()
        assert second.answer()[0] == 200
        assert third.answer()[0] == 200
    assert [ask.prompt for ask in narrow.script.asks] == ["the first", "second", "third"]


def test_a_full_queue_sends_callers_away_with_a_time_to_come_back(narrow: Narrow) -> None:
    with narrow.held() as gate, narrow.asking("openai", "second") as second, narrow.asking("openai", "third") as third:
        answer = narrow.ask("fourth")
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "overloaded_error"
        assert int(answer.headers["retry-after"]) >= 1
        gate.open()
        assert (second.answer()[0], third.answer()[0]) == (200, 200)
    assert len(narrow.script.inferences) == 3


def test_a_full_queue_makes_way_to_another_backend(tmp_path: Path) -> None:
    with OpenAIEmulator() as wide:
        other = {"name": "wide", "provider": "openai", "url": wide.base_url, "priority": 2}
        with (
            narrow_place(tmp_path / "data", other) as narrow,
            narrow.held() as gate,
            narrow.asking("openai", "b") as second,
            narrow.asking("openai", "c") as third,
        ):
            answer = narrow.ask("fourth")
            assert answer.headers["x-junto-backend"] == "wide"
            assert (answer.headers["x-junto-attempts"], answer.headers["x-fallback-model"]) == ("2", "gpt-test")
            gate.open()
            assert (second.answer()[0], third.answer()[0]) == (200, 200)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_waiting_stream_hears_its_place_and_then_its_answer(narrow: Narrow, dialect: str) -> None:
    asking = partial(narrow.asking, dialect, stream=True)
    with narrow.held() as gate, asking("b") as second, asking("c") as third:
        assert b"200 OK" in second.read_until(b": queued, place 1\n\n")
        third.read_until(b": queued, place 2\n\n")
        gate.open()
        end = b"[DONE]" if dialect == "openai" else b"message_stop"
        assert b"You" in second.read_until(end)
        third.read_until(end)


def test_a_waiting_whole_answer_is_not_told(narrow: Narrow) -> None:
    """It has one body only; its head says who answered."""
    with narrow.held() as gate, narrow.asking("openai", "b") as second:
        gate.open()
        status, headers, body = second.answer()
        assert (status, headers["x-junto-backend"]) == (200, "narrow")
        assert json.loads(body)["choices"][0]["message"]["content"] == "You said: b"


def test_a_deadline_ends_a_wait_for_the_upstream(narrow: Narrow) -> None:
    narrow.script.plan(Scripted(text="late", gate=Gate()))
    answer = narrow.ask("hurry", timeout="0.2")
    assert answer.status_code == 504
    assert answer.json()["error"]["type"] == "timeout_error"
    [received] = narrow.script.inferences
    assert received.wait_abandoned(PROMISED)
    assert narrow.ask("again").status_code == 200


def test_a_deadline_ends_a_wait_for_a_slot(narrow: Narrow) -> None:
    with narrow.held():
        assert narrow.ask("hurry", timeout="0.2").status_code == 504
        assert len(narrow.script.inferences) == 1


def test_a_deadline_that_passes_in_a_waiting_stream_is_told_in_the_stream(narrow: Narrow) -> None:
    with narrow.held(), narrow.asking("openai", "b", "X-Junto-Timeout: 0.3", stream=True) as waiting:
        waiting.read_until(b": queued, place 1\n\n")
        told = waiting.read_until(b"deadline_passed")
        assert b"[DONE]" not in told


def test_a_wait_that_would_pass_the_deadline_is_refused_at_once(narrow: Narrow) -> None:
    narrow.script.plan(Scripted(text="slow", delay=0.5))
    assert narrow.ask("learn the pace").status_code == 200
    with narrow.held():
        answer = narrow.ask("hurry", timeout="0.05")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1e9", ""])
def test_a_deadline_is_a_number_of_seconds(narrow: Narrow, value: str) -> None:
    answer = narrow.ask("hurry", timeout=value)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "X-Junto-Timeout"


def test_failures_give_their_slot_back(narrow: Narrow) -> None:
    fails = (Fail(status=500), Fail(status=400), Fail(how="reset", after=1), Fail(how="truncate", after=1))
    for fail in fails:
        narrow.script.plan(*[Scripted(text="never", fail=fail)] * 3)
        assert narrow.ask("x").status_code >= 400
        narrow.script.take_back()
    assert narrow.ask("y").status_code == 200
