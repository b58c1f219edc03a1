"""A caller that hangs up takes its upstream along within a second, whatever phase it is in, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.flow.raw_caller import PATHS, RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.flow.stage import Stage
    from tests.upstreams import Script

PROMISED = 1.0  # seconds from the caller's hang-up to the upstream's
WORDS = "one two three four five six"
DIALECTS = pytest.mark.parametrize("dialect", list(PATHS))
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def asked(dialect: str, model: str, *, stream: bool, prompt: str = "hello there") -> bytes:
    return request_bytes(*chat_request(dialect, model, prompt, stream=stream))


@pytest.fixture(scope="module")
def all_hung_up() -> list[str]:
    """The tests in which a caller of the usual stage hung up."""
    return []


@pytest.fixture
def hung_up(stage: Stage, all_hung_up: list[str], request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Afterwards nothing is under way any more."""
    all_hung_up.append(request.node.name)
    yield all_hung_up
    assert stage.junto.falls_idle()


@DIALECTS
@STREAM
def test_while_waiting_for_headers(
    stage: Stage, model: str, script: Script, dialect: str, hung_up: list[str], *, stream: bool
) -> None:
    script.plan(Scripted(text=WORDS, gate=Gate()))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked(dialect, model, stream=stream))
        [received] = script.wait_arrived()
    assert received.wait_abandoned(PROMISED)
    record = stage.junto.recorded(len(hung_up), outcome="cancelled", limit=200)[0]
    assert (record["status"], record["model"]) == (499, model)
    assert (record["usage"]["estimated"], record["usage"]["input_tokens"] > 0) == (True, True)


@DIALECTS
def test_in_the_middle_of_a_stream(stage: Stage, model: str, script: Script, dialect: str, hung_up: list[str]) -> None:
    """What was streamed until then is counted, as an estimate."""
    script.plan(Scripted(text=WORDS, gate=Gate(), gate_after=3))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked(dialect, model, stream=True))
        [received] = script.wait_arrived()
        caller.read_until(b" three")
    assert received.wait_abandoned(PROMISED)
    record = stage.junto.recorded(len(hung_up), outcome="cancelled", limit=200)[0]
    assert (record["status"], record["stream"], record["model"]) == (200, True, model)
    usage = record["usage"]
    assert isinstance(usage, dict)
    assert usage["estimated"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


@DIALECTS
def test_in_the_middle_of_a_whole_answer(
    stage: Stage, model: str, script: Script, dialect: str, hung_up: list[str]
) -> None:
    script.plan(Scripted(text=WORDS, fail=Fail(how="hang", after=1)))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked(dialect, model, stream=False))
        [received] = script.wait_arrived()
    assert received.wait_abandoned(PROMISED)


@STREAM
def test_by_a_reset(stage: Stage, model: str, script: Script, hung_up: list[str], *, stream: bool) -> None:
    script.plan(Scripted(text=WORDS, gate=Gate()))
    caller = RawCaller(stage.junto.port)
    caller.send(asked("openai", model, stream=stream))
    [received] = script.wait_arrived()
    caller.reset()
    assert received.wait_abandoned(PROMISED)


def test_after_a_large_body(stage: Stage, model: str, script: Script, hung_up: list[str]) -> None:
    """A server that stopped reading for a while must have begun again: otherwise it hears of nothing."""
    script.plan(Scripted(text=WORDS, gate=Gate()))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked("openai", model, stream=True, prompt="word " * 40_000))
        [received] = script.wait_arrived()
    assert received.wait_abandoned(PROMISED)


def test_with_a_second_request_already_sent(stage: Stage, model: str, script: Script, hung_up: list[str]) -> None:
    """A caller that pipelines makes the server stop reading; its hang-up is noticed all the same, and nobody is asked again."""
    script.plan(Scripted(text=WORDS, gate=Gate()))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked("openai", model, stream=True))
        [received] = script.wait_arrived()
        caller.send(asked("openai", model, stream=True))
    assert received.wait_abandoned(PROMISED)
    assert stage.junto.falls_idle()
    assert len(script.inferences) == 1


def test_without_reading_what_is_streamed(stage: Stage, model: str, script: Script, hung_up: list[str]) -> None:
    """The upstream is held back while nobody reads, and let go when the caller does."""
    script.plan(Scripted(pieces=("x" * 65_536,) * 1000))
    with RawCaller(stage.junto.port) as caller:
        caller.send(asked("openai", model, stream=True))
        [received] = script.wait_arrived()
        caller.read_until(b"xxxx")
    assert received.wait_abandoned(PROMISED)
    assert received.pieces_sent < 1000


def test_every_hang_up_is_recorded(stage: Stage, all_hung_up: list[str]) -> None:
    """As cancelled: 499 where no answer had begun, 200 where one had."""
    records = stage.junto.recorded(len(all_hung_up), outcome="cancelled", limit=200)
    assert {record["status"] for record in records} <= {200, 499}
    assert all(record["backend"] for record in records if record["status"] == 200)


@DIALECTS
def test_while_waiting_for_a_slot(tmp_path: Path, dialect: str) -> None:
    """The place in the queue is given up, the one who holds the slot is not disturbed, and nobody was asked."""
    gate = Gate()
    with OpenAIEmulator() as upstream:
        backend = {"name": "narrow", "provider": "openai", "url": upstream.base_url, "slots": 1}
        with RunningJunto(tmp_path / "data", {"backends": [backend]}) as junto, RawCaller(junto.port) as holder:
            upstream.script.plan(Scripted(text="first", gate=gate))
            holder.send(asked("openai", "gpt-test", stream=False))
            upstream.script.wait_arrived()
            alone = junto.busy
            with RawCaller(junto.port) as waiting:
                waiting.send(asked(dialect, "gpt-test", stream=True))
                assert wait_busier(junto, alone)
            assert wait_as_before(junto, alone)
            gate.open()
            assert holder.answer()[0] == 200
            assert len(upstream.script.inferences) == 1
            assert junto.falls_idle()
            junto.recorded(1, outcome="cancelled")


def wait_busier(junto: RunningJunto, than: int) -> bool:
    """Wait until more is under way."""
    return until(lambda: junto.busy > than)


def wait_as_before(junto: RunningJunto, as_before: int) -> bool:
    """Wait, at most the promised second, until only so much is under way."""
    return until(lambda: junto.busy == as_before)


def until(condition: object) -> bool:
    """Poll a condition for a second at most."""
    assert callable(condition)
    done = threading.Event()
    for _ in range(200):
        if condition():
            return True
        done.wait(PROMISED / 200)
    return bool(condition())


class Deaf:
    """A server that takes connections and then says nothing; `left` is set when its caller has gone."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.came = threading.Event()
        self.left = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(65536)
            self.came.set()
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            self.left.set()

    def close(self) -> None:
        self._thread.join(10)
        self._listening.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    server = Deaf()
    yield server
    server.close()


def hang_up_while_connecting(tmp_path: Path, deaf: Deaf, url: str) -> None:
    backend = {"name": "deaf", "provider": "openai", "url": url, "models": ["m"]}
    with RunningJunto(tmp_path / "data", {"backends": [backend]}, beat=False) as junto:
        with RawCaller(junto.port) as caller:
            caller.send(asked("openai", "m", stream=True))
            assert deaf.came.wait(5)
            assert junto.busy
        assert deaf.left.wait(PROMISED)
        assert junto.falls_idle()
        junto.recorded(1, outcome="cancelled")


def test_within_the_handshake_of_tls(tmp_path: Path, deaf: Deaf) -> None:
    hang_up_while_connecting(tmp_path, deaf, f"https://127.0.0.1:{deaf.port}/v1")


def test_while_a_proxy_opens_the_tunnel(tmp_path: Path, deaf: Deaf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{deaf.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    hang_up_while_connecting(tmp_path, deaf, "https://upstream.invalid/v1")


def test_while_nobody_accepts_the_connection(tmp_path: Path) -> None:
    """A full backlog lets nobody in: the attempt to connect is given up at once, not after its deadline."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        crowd = [crowding(port) for _ in range(3)]
        url = f"http://127.0.0.1:{port}/v1"
        backend = {"name": "full", "provider": "openai", "url": url, "models": ["m"], "timeouts": {"connect": 60}}
        with RunningJunto(tmp_path / "data", {"backends": [backend]}, beat=False) as junto:
            with RawCaller(junto.port) as caller:
                caller.send(asked("openai", "m", stream=True))
                assert wait_busier(junto, 0)
            assert junto.falls_idle(PROMISED)
            [record] = junto.recorded(1, outcome="cancelled")
            assert record["usage"]["input_tokens"] == 0  # nobody was sent the prompt
        for each in crowd:
            each.close()


def crowding(port: int) -> socket.socket:
    """A connection that takes up a place in a backlog, or tries to."""
    waiting = socket.socket()
    waiting.settimeout(0)
    waiting.connect_ex(("127.0.0.1", port))
    return waiting
