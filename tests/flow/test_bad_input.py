"""What is wrong with a request is said in the caller's dialect, with the right status, and nothing of it stays behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from junto.web.server import JuntoProtocol
from tests.flow.complaint import complaint
from tests.flow.raw_caller import PATHS, RawCaller, chat_request, request_bytes
from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-test"
MEBIBYTE = 1024 * 1024
DIALECTS = pytest.mark.parametrize("dialect", list(PATHS))
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(JuntoProtocol):
    """A server with no patience to speak of."""

    receive_seconds = 0.2


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory, upstream: OpenAIEmulator) -> Iterator[RunningJunto]:
    backend = {"name": "gpts", "provider": "openai", "url": upstream.base_url, "slots": 2}
    config = {"server": {"max_body_mb": 1}, "backends": [backend]}
    with RunningJunto(tmp_path_factory.mktemp("data"), config, protocol=Hasty) as junto:
        yield junto


@pytest.fixture(autouse=True)
def _nothing_stays_behind(junto: RunningJunto, upstream: OpenAIEmulator) -> Iterator[None]:
    """After each test no slot is taken, the journal has room, and a good question is answered."""
    upstream.script.clear()
    yield
    assert junto.falls_idle()
    health = junto.get("/health")
    assert (health["status"], health["queue"]) == ("ok", "ok")
    assert ask(junto, "openai", good("openai")).status_code == 200


def good(dialect: str) -> dict[str, Any]:
    return chat_request(dialect, MODEL, "hello", stream=False)[1]


def ask(
    junto: RunningJunto, dialect: str, body: bytes | dict[str, Any], headers: dict[str, str] | None = None
) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **(headers or {})}
    return junto.http.post(PATHS[dialect], content=content, headers=given)


@DIALECTS
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"words"',
        b"null",
        b'{"model": "gpt-test", "messages": [}',
        b'{"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]} {}',
        b'{"model": "\xff\xfe"}',
        b'{"model": "gpt-test", "temperature": NaN}',
        '{"model": "gpt-test"}'.encode("utf-16"),
    ],
    ids=range(10),
)
def test_a_body_that_is_no_json_object_is_a_400(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, body: bytes
) -> None:
    answer = ask(junto, dialect, body)
    assert answer.status_code == 400
    assert complaint(dialect, answer)
    assert not upstream.script.inferences


@DIALECTS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 7),
        ("model", None),
        ("model", ""),
        ("messages", "hello"),
        ("messages", [7]),
        ("messages", [{"role": "user", "content": 7}]),
        ("messages", [{"role": 7, "content": "who says so?"}]),
        ("tools", "all"),
    ],
)
def test_a_field_of_a_wrong_type_is_a_422_that_names_it(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, field: str, value: object
) -> None:
    answer = ask(junto, dialect, good(dialect) | {field: value})
    assert answer.status_code == 422
    assert field in complaint(dialect, answer)
    assert not upstream.script.inferences


@DIALECTS
@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_missing_field_is_a_422_that_names_it(junto: RunningJunto, dialect: str, field: str) -> None:
    if (dialect, field) == ("ollama", "messages"):
        pytest.skip("to Ollama that is a wish to load the model")
    body = good(dialect)
    del body[field]
    answer = ask(junto, dialect, body)
    assert answer.status_code == 422
    assert field in complaint(dialect, answer)


@DIALECTS
@pytest.mark.parametrize("value", ["secret", "PUBLIC", "", "internal, public"])
def test_an_unknown_sensitivity_is_refused_and_never_guessed(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, value: str
) -> None:
    in_header = ask(junto, dialect, good(dialect), {"X-Junto-Sensitivity": value})
    in_body = ask(junto, dialect, good(dialect) | {"metadata": {"sensitivity": value}})
    for answer in (in_header, in_body):
        assert answer.status_code == 422
        assert "is not a sensitivity" in complaint(dialect, answer)
    assert not upstream.script.inferences


@DIALECTS
@pytest.mark.parametrize("value", [7, None, True, ["public"], {"tier": "public"}])
def test_a_sensitivity_that_is_no_text_is_refused(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, value: object
) -> None:
    answer = ask(junto, dialect, good(dialect) | {"metadata": {"sensitivity": value}})
    assert answer.status_code == 422
    assert "sensitivity" in complaint(dialect, answer)
    assert not upstream.script.inferences


@DIALECTS
@pytest.mark.parametrize("field", ["messages", "tools", "metadata", "x"])
@pytest.mark.parametrize("closed", [False, True])
def test_a_body_that_is_ten_thousand_deep_is_refused(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, field: str, *, closed: bool
) -> None:
    deep = b"[" * 10_000 + (b"]" * 10_000 + b"}" if closed else b"")
    answer = ask(junto, dialect, json.dumps(good(dialect)).encode()[:-1] + b', "%b": ' % field.encode() + deep)
    assert answer.status_code in {400, 422}
    assert complaint(dialect, answer)
    assert not upstream.script.inferences


@DIALECTS
def test_a_hundred_thousand_keys_are_a_body_like_any_other(junto: RunningJunto, dialect: str) -> None:
    body = {f"k{number}": 0 for number in range(100_000)} | good(dialect)
    status = ask(junto, dialect, json.dumps(body, separators=(",", ":")).encode()[: MEBIBYTE - 1]).status_code
    assert status in {200, 400, 413, 422}


@DIALECTS
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_a_413(
    junto: RunningJunto, upstream: OpenAIEmulator, dialect: str, *, chunked: bool
) -> None:
    head = f"POST {PATHS[dialect]} HTTP/1.1\r\nHost: localhost\r\n"
    with RawCaller(junto.port) as caller:
        if chunked:
            caller.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(17):
                caller.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        else:
            caller.send(f"{head}Content-Length: {MEBIBYTE + 1}\r\n\r\n".encode())
        status, headers, body = caller.answer()
    assert status == 413
    assert "limit of 1 MiB" in complaint(dialect, httpx2.Response(status, headers=headers, content=body))
    assert not upstream.script.inferences


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(200)),
        b"".join(b"X-%d: %b\r\n" % (number, b"y" * 1000) for number in range(60)),
        b"X: " + b"y" * 60_000 + b"\r\n",
    ],
    ids=["many", "long", "one"],
)
@pytest.mark.parametrize("whole", [False, True], ids=["in-pieces", "at-once"])
def test_a_flood_of_headers_is_a_431(
    junto: RunningJunto, upstream: OpenAIEmulator, flood: bytes, *, whole: bool
) -> None:
    request = request_bytes("/v1/chat/completions", good("openai")).replace(b"\r\n\r\n", b"\r\n" + flood + b"\r\n", 1)
    with RawCaller(junto.port) as caller:
        if whole:
            caller.send(request)
        else:
            for start in range(0, len(request), 4096):
                try:
                    caller.send(request[start : start + 4096])
                except ConnectionError:
                    break
        assert caller.read_to_end().startswith(b"HTTP/1.1 431 ")
    assert not upstream.script.inferences


def test_a_body_that_does_not_come_is_a_408(junto: RunningJunto) -> None:
    with RawCaller(junto.port) as caller:
        caller.send(CHAT + b'Content-Length: 100\r\n\r\n{"model"')
        heard = caller.read_to_end()
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert b'"error"' in heard


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"Content-Length: -2\r\n\r\n{}",
        b"Content-Length: +2\r\n\r\n{}",
        b"Content-Length: 0x2\r\n\r\n{}",
        b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"X-Junto-Session: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        b"X-Junto-Session: a\rX: b\r\nContent-Length: 2\r\n\r\n{}",
        b"X-Junto-Session: a\r\n folded: b\r\nContent-Length: 2\r\n\r\n{}",
        b"No colon here\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=range(15),
)
def test_framing_in_two_ways_ends_the_connection(junto: RunningJunto, upstream: OpenAIEmulator, framing: bytes) -> None:
    """Whatever follows on the connection is not taken for a request."""
    smuggled = request_bytes("/v1/chat/completions", good("openai"))
    with RawCaller(junto.port) as caller:
        caller.send(CHAT + framing + smuggled)
        heard = caller.read_to_end()
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1
    assert not upstream.script.inferences


@DIALECTS
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_a_405_that_names_the_right_one(junto: RunningJunto, dialect: str, method: str) -> None:
    answer = junto.http.request(method, PATHS[dialect])
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert method in complaint(dialect, answer)


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("openai", "/v1/nothing"),
        ("ollama", "/api/nothing"),
        ("anthropic", "/v1/messages/nothing"),
        ("native", "/nothing"),
    ],
)
def test_an_unknown_path_is_a_404(junto: RunningJunto, dialect: str, path: str) -> None:
    answer = junto.http.post(path, json={})
    assert answer.status_code == 404
    assert path in complaint(dialect, answer)


def test_an_unknown_model_is_told_to_anthropics_clients_in_their_words(junto: RunningJunto) -> None:
    """The path is the one that OpenAI's clients ask as well."""
    url = f"{junto.url}/v1/models/gpt-tost"
    theirs = httpx2.get(url, headers={"anthropic-version": "2023-06-01"})
    assert (theirs.status_code, httpx2.get(url).status_code) == (404, 404)
    assert MODEL in complaint("anthropic", theirs)
    assert MODEL in complaint("openai", httpx2.get(url))


JOB = {"task_type": "bio", "prompt": "Who?"}


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "/jobs", b"", (422, "A JSON body is needed.", None)),
        ("POST", "/jobs", b"[1]", (422, "The body has to be a JSON object.", None)),
        ("POST", "/jobs", b"{", (400, "The body is not valid JSON.", None)),
        ("POST", "/jobs", {}, (422, "task_type: it is required.", "task_type")),
        ("POST", "/jobs", {**JOB, "odd": 1}, (422, "odd: there is no such field here.", "odd")),
        (
            "POST",
            "/jobs",
            {**JOB, "tenant_id": "other"},
            (403, "This API key may not act for the tenant 'other'.", "tenant_id"),
        ),
        ("POST", "/jobs", {**JOB, "model": "nope"}, (404, "There is no model 'nope' here.", "model")),
        ("PUT", "/prompts/bio", {}, (422, "body: it is required.", "body")),
        ("PUT", "/prompts/bio", {"body": 5}, (422, "body: Input should be a valid string.", "body")),
        ("POST", "/clients", {"name": "a", "key": "mine"}, (422, "key: there is no such field here.", "key")),
        ("GET", "/jobs?limit=0", None, (422, "limit: Input should be greater than or equal to 1.", "limit")),
        (
            "GET",
            "/admin/responses?sensitivity=secret",
            None,
            (422, "sensitivity: Input should be 'public', 'internal' or 'confidential'.", "sensitivity"),
        ),
        (
            "POST",
            "/routing/explain",
            {"needs": ["fly"]},
            (
                422,
                "There is no ability 'fly'. There are: chat, embeddings, json_schema, reasoning, tools, vision.",
                "needs",
            ),
        ),
    ],
)
def test_jobs_and_administration_say_what_is_wrong_where(
    junto: RunningJunto, method: str, path: str, body: Any, told: tuple[int, str, str | None]
) -> None:
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {**junto.admin, "content-type": "application/json"}
    answer = junto.http.request(method, path, content=content, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"], error.get("param")) == told


def test_a_header_that_is_wrong_is_named_as_it_is_written(junto: RunningJunto) -> None:
    answer = junto.http.post("/jobs", json=JOB, headers={"idempotency-key": "k" * 300})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "Idempotency-Key")
