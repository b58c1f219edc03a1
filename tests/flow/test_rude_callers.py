"""Callers who send too much, too slowly, or nonsense: each is told so, or let go, and nothing is kept of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from junto.web.server import MAX_HEAD_BYTES, JuntoProtocol
from tests.flow.raw_caller import RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTE = 1024 * 1024
CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


class Hasty(JuntoProtocol):
    """A server with no patience to speak of."""

    receive_seconds = 0.3
    stall_seconds = 0.3


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    config = {
        "server": {"max_body_mb": 1},
        "backends": [{"name": "desk", "provider": "fake", "models": ["fake-model"]}],
    }
    with RunningJunto(tmp_path_factory.mktemp("data"), config, protocol=Hasty) as running:
        running.get("/health")  # the control plane is loaded: on a busy machine that takes longer than Hasty is patient
        yield running


@pytest.fixture
def caller(junto: RunningJunto) -> Iterator[RawCaller]:
    with RawCaller(junto.port) as raw:
        yield raw


def pour(caller: RawCaller, piece: bytes, *, most: int) -> None:
    """Send the same piece again and again, until the server has had enough."""
    try:
        for _ in range(most // len(piece)):
            caller.send(piece)
    except (ConnectionError, TimeoutError):
        return
    pytest.fail("the server took all of it")


def test_trailers_without_end_are_refused(caller: RawCaller) -> None:
    caller.send(CHUNKED + b"2\r\n{}\r\n0\r\n")
    pour(caller, b"x: y\r\n" * 1000, most=64 * MEBIBYTE)


def test_one_trailer_without_end_is_refused(caller: RawCaller) -> None:
    caller.send(CHUNKED + b"2\r\n{}\r\n0\r\nx: ")
    pour(caller, b"y" * 6000, most=64 * MEBIBYTE)


def test_the_extension_of_a_chunk_without_end_is_refused(caller: RawCaller) -> None:
    caller.send(CHUNKED + b"2;x=")
    pour(caller, b"y" * 6000, most=64 * MEBIBYTE)


def test_a_head_that_is_too_large_is_told_so(caller: RawCaller) -> None:
    caller.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * MAX_HEAD_BYTES)
    assert caller.answer()[0] == 431


def test_a_few_trailers_do_no_harm(caller: RawCaller) -> None:
    path, body = chat_request("openai", "fake-model", "Hello", stream=False)
    content = json.dumps(body).encode()
    head = CHUNKED.replace(b"/v1/chat/completions", path.encode())
    caller.send(head + b"%x\r\n%b\r\n0\r\nX-Junto-Sensitivity: nonsense\r\n\r\n" % (len(content), content))
    assert caller.answer()[0] == 200


def test_a_head_in_drops_is_not_waited_for(caller: RawCaller) -> None:
    """Each drop comes well within the patience for one; all of them together do not."""
    caller.send(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(200):
        try:
            caller.send(b"y")
        except ConnectionError:
            return
        time.sleep(0.02)
    pytest.fail("the server waits for ever")


def test_a_caller_that_reads_nothing_is_let_go_with_its_upstream_and_its_slot(tmp_path: Path) -> None:
    with OpenAIEmulator() as upstream:
        backend = {"name": "gpts", "provider": "openai", "url": upstream.base_url, "slots": 1}
        with RunningJunto(tmp_path / "data", {"backends": [backend]}, protocol=Hasty) as junto:
            upstream.script.plan(Scripted(pieces=("x" * 65_536,) * 1000))
            with RawCaller(junto.port) as caller:
                caller.send(request_bytes(*chat_request("openai", "gpt-test", "Hello", stream=True)))
                [received] = upstream.script.wait_arrived()
                assert received.wait_abandoned(5)
                assert junto.falls_idle()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_for_the_control_plane_is_refused_before_it_is_known_who_sends_it(
    junto: RunningJunto, *, chunked: bool
) -> None:
    body = b'{"model": "' + b"x" * 2 * MEBIBYTE + b'"}'
    content = iter([body]) if chunked else body
    headers = {"content-type": "application/json"}
    answer = httpx2.post(f"{junto.url}/routing/explain", content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("body", [b'{"model": ', b"\xff\xfe", b'{"model": "\xff"}'])
def test_a_body_that_cannot_be_read_is_a_400(junto: RunningJunto, body: bytes) -> None:
    headers = {"content-type": "application/json", **junto.admin}
    answer = httpx2.post(f"{junto.url}/routing/explain", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")


def test_the_token_count_speaks_of_errors_as_anthropic_does(junto: RunningJunto) -> None:
    answer = httpx2.post(f"{junto.url}/v1/messages/count_tokens", content=b"{")
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"


def test_loading_a_model_is_answered_with_an_id(junto: RunningJunto) -> None:
    answer = httpx2.post(f"{junto.url}/api/generate", json={"model": "fake-model"})
    assert answer.status_code == 200
    assert answer.headers["x-junto-request-id"].startswith("req_")
