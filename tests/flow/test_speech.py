"""Speech of a running Junto: jobs and their files, the stream that OpenAI's SDK asks for, and what is refused."""

from __future__ import annotations

import io
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import openai
import pytest
import soundfile  # type: ignore[import-untyped]

from junto.bootstrap.speech import SpeechOptions
from tests.flow.running import RunningJunto
from tests.unit.speech.tones import Tones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOOK = [{"title": "I", "text": "First one."}, {"text": "Second one."}, {"title": "III", "text": "Third one."}]


def humming(folder: Path, engine: Tones, config: dict[str, Any] | None = None) -> RunningJunto:
    """A Junto whose only engine hums."""
    return RunningJunto(folder, config, speech_options=SpeechOptions(engines=lambda _: [engine], again=0.01))


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with humming(tmp_path_factory.mktemp("data"), Tones()) as running:
        yield running


def until(found: Callable[[], Any]) -> Any:
    """What a question has for an answer, once it has one."""
    deadline = time.monotonic() + 20
    while not (answer := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def ended(junto: RunningJunto, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        view: dict[str, Any] = junto.http.get(f"/jobs/{job_id}").json()
        return view if view["status"] in {"complete", "failed", "cancelled"} else None

    view: dict[str, Any] = until(look)
    return view


def sound_of(content: bytes) -> tuple[float, float]:
    """How long it is in seconds, and how loud."""
    samples, rate = soundfile.read(io.BytesIO(content))
    return len(samples) / rate, float((samples**2).mean())


def test_a_text_is_accepted_said_and_fetched(junto: RunningJunto) -> None:
    made = junto.http.post("/tts", json={"text": "A whole text.", "voice": "high", "metadata": {"n": 1}})
    assert made.status_code == 202
    told = made.json()
    url = f"/output/{told['job_id']}.mp3"
    assert told == {
        "job_id": ANY,
        "status": "pending",
        "poll_url": f"/jobs/{told['job_id']}",
        "expected_output_url": url,
        "voice": "high",
    }
    view = ended(junto, told["job_id"])
    assert (view["status"], view["task_type"], view["response"], view["voice"]) == ("complete", "tts", url, "high")
    assert (view["tokens_in"], view["tokens_out"], view["model_used"]) == (13, view["bytes"], "hum")
    assert (view["metadata"], view["cost_usd"]) == ({"n": 1}, "0.000000")
    file = junto.http.get(url)
    assert (file.status_code, file.headers["content-type"]) == (200, "audio/mpeg")
    assert len(file.content) == int(file.headers["content-length"]) == view["bytes"]
    length, loudness = sound_of(file.content)
    assert length == pytest.approx(0.65, abs=0.15)
    assert loudness > 0.01
    usage = junto.get("/usage")
    assert "tokens_out" in str(usage)


def test_ranges_and_heads_lead_to_the_bytes_they_name(junto: RunningJunto) -> None:
    view = junto.http.post("/tts", json={"text": "Ranges.", "format": "wav", "wait_s": 30}).json()
    url, whole = view["response"], junto.http.get(view["response"]).content
    assert whole[:4] == b"RIFF"
    part = junto.http.get(url, headers={"range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, whole[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(whole)}"
    assert junto.http.get(url, headers={"range": "bytes=-5"}).content == whole[-5:]
    assert junto.http.get(url, headers={"range": f"bytes={len(whole)}-"}).status_code == 416
    etag = part.headers["etag"]
    assert junto.http.get(url, headers={"range": "bytes=0-1", "if-range": etag}).status_code == 206
    assert junto.http.get(url, headers={"range": "bytes=0-1", "if-range": '"old"'}).content == whole
    head = junto.http.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole)))
    assert head.headers["content-type"] == "audio/wav"


def test_a_book_is_followed_chapter_by_chapter_and_each_is_there_when_it_is_done(tmp_path: Path) -> None:
    engine = Tones(held="Second")
    with humming(tmp_path, engine) as junto:
        told = junto.http.post("/tts", json={"chapters": BOOK, "format": "wav"}).json()
        urls = [f"/output/{told['job_id']}-00{n}.wav" for n in (1, 2, 3)]
        assert (told["expected_output_url"], told["expected_output_urls"]) == (urls[0], urls)
        at = f"/jobs/{told['job_id']}"
        until(lambda: junto.http.get(at).json().get("progress") == {"done": 1, "of": 3})
        assert junto.http.get(urls[0]).status_code == 200
        assert junto.http.get(urls[1]).status_code == 404
        events: list[str] = []
        with junto.http.stream("GET", f"{at}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: status"):
                    junto.call(engine.release.set)
                events.append(line)
        assert any('"progress":{"done":3,"of":3}' in line or "event: end" in line for line in events)
        view = ended(junto, told["job_id"])
        assert [(each["number"], each["title"], each["url"]) for each in view["chapters"]] == [
            (1, "I", urls[0]),
            (2, "", urls[1]),
            (3, "III", urls[2]),
        ]
        assert view["response"].split("\n") == urls
        for chapter in view["chapters"]:
            length, loudness = sound_of(junto.http.get(chapter["url"]).content)
            assert length == pytest.approx(chapter["audio_ms"] / 1000, abs=0.01)
            assert loudness > 0.01


def test_the_same_idempotency_key_is_the_same_job(junto: RunningJunto) -> None:
    key = {"idempotency-key": "one"}
    first, again = (junto.http.post("/tts", json={"text": "Once."}, headers=key).json() for _ in range(2))
    assert first["job_id"] == again["job_id"]
    other = junto.http.post("/tts", json={"text": "Twice."}, headers=key)
    assert (other.status_code, other.json()["error"]["param"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "text"),
        ({"text": "a", "chapters": [{"text": "b"}]}, 422, "text"),
        ({"text": ""}, 422, "text"),
        ({"text": " \n\t"}, 422, "text"),
        ({"text": 1}, 422, "text"),
        ({"text": "x" * 10_001}, 413, "text"),
        ({"chapters": []}, 422, "chapters"),
        ({"chapters": [{"text": "a"}] * 501}, 413, "chapters"),
        ({"chapters": [{"text": "a"}, {"text": ""}]}, 422, "chapters.1.text"),
        ({"chapters": [{"text": "x" * 10_001}]}, 413, "chapters.0.text"),
        ({"text": "a", "voice": "lwo"}, 422, "voice"),
        ({"text": "a", "format": "opus"}, 422, "format"),
        ({"text": "a", "format": "pcm"}, 422, "format"),
        ({"text": "a", "speed": 0.2}, 422, "speed"),
        ({"text": "a", "speed": 4.5}, 422, "speed"),
        ({"text": "a", "sensitivity": "secret"}, 422, "sensitivity"),
        ({"text": "a", "priority": 11}, 422, "priority"),
        ({"text": "a", "webhook": "http://127.0.0.1/x"}, 422, "webhook"),
        ({"text": "a", "nonsense": 1}, 422, "nonsense"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_name(
    junto: RunningJunto, body: dict[str, Any], status: int, param: str
) -> None:
    refused = junto.http.post("/tts", json=body)
    assert (refused.status_code, refused.json()["error"].get("param")) == (status, param)


PATHS = (
    "../junto.yaml",
    "..%2fjunto.yaml",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "job_1/0000.1.mp3",
    "..\\..\\junto.yaml",
    "%00",
    "job_1.mp3%00.txt",
    "%ff%fe",
    "\u202e3pm.job",
    "a" * 900,
    "%25",
    "_",
    "*",
    ".",
    "",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_trick_leads_out_of_the_folder(junto: RunningJunto, path: str) -> None:
    with socket.create_connection(("127.0.0.1", junto.port), timeout=20) as raw:
        target = f"/output/{path}".encode()
        raw.sendall(b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n" % target)
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    status = int(answer.split(b" ", 2)[1])
    assert status in {404, 400}
    assert b"builtin_model" not in answer
    assert b"root:" not in answer


def test_files_are_their_owners(tmp_path: Path) -> None:
    with humming(tmp_path, Tones(), {"auth": {"mode": "keys"}}) as junto:

        def key_of(name: str) -> dict[str, str]:
            made = junto.http.post("/clients", json={"name": name}, headers=junto.admin).raise_for_status().json()
            return {"authorization": f"Bearer {made['api_key']}"}

        own, other = key_of("own"), key_of("other")
        view = junto.http.post("/tts", json={"text": "Mine.", "wait_s": 30}, headers=own).json()
        url = view["response"]
        missing = url.replace(".mp3", ".wav")
        assert junto.http.get(url, headers=own).status_code == 200
        assert junto.http.get(url, headers=junto.admin).status_code == 200
        assert junto.http.get(url).status_code == 401
        foreign, absent = junto.http.get(url, headers=other), junto.http.get(missing, headers=other)
        assert foreign.status_code == absent.status_code == 404
        assert foreign.text.replace(url[8:], "?") == absent.text.replace(missing[8:], "?")


def test_a_cancelled_job_stops_the_engine(tmp_path: Path) -> None:
    engine = Tones(held="stay")
    with humming(tmp_path, engine) as junto:
        told = junto.http.post("/tts", json={"text": "Here we stay. And more."}).json()
        until(engine.reached.is_set)
        cancelled = junto.http.delete(f"/jobs/{told['job_id']}", params={"force": True})
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        until(lambda: engine.ended == 1)
        assert engine.begun == ["Here we stay."]
        assert junto.http.get(told["expected_output_url"]).status_code == 404
        assert list((tmp_path / "output").rglob("*.part")) == []


def test_a_deadline_ends_the_job_and_the_engine(tmp_path: Path) -> None:
    engine = Tones(held="stay")
    with humming(tmp_path, engine) as junto:
        told = junto.http.post("/tts", json={"text": "Here we stay.", "deadline_s": 0.5}).json()
        view = ended(junto, told["job_id"])
        assert (view["status"], view["error"]["code"]) == ("failed", "deadline_passed")
        until(lambda: engine.ended == len(engine.begun))


def test_an_engine_that_crashes_is_tried_again_by_the_rules_of_jobs(tmp_path: Path) -> None:
    engine = Tones(crashes=1, crash_on="Second")
    with humming(tmp_path, engine) as junto:
        told = junto.http.post("/tts", json={"chapters": BOOK}).json()
        view = ended(junto, told["job_id"])
        assert (view["status"], view["attempts"]) == ("complete", 2)
        assert engine.begun.count("First one.") == 1
        assert len([path for path in (tmp_path / "output").rglob("*") if path.is_file()]) == 3


def test_without_an_engine_speech_says_what_to_install_and_the_rest_runs(tmp_path: Path) -> None:
    with RunningJunto(tmp_path, {}, speech_options=SpeechOptions(engines=lambda _: [])) as junto:
        for answer in (
            junto.http.post("/tts", json={"text": "Hello."}),
            junto.http.post("/v1/audio/speech", json={"model": "tts-1", "voice": "alloy", "input": "Hello."}),
        ):
            assert answer.status_code == 501
            assert "junto[speech]" in answer.json()["error"]["message"]
        assert junto.http.get("/tts/voices").json() == {"voices": [], "default": None, "formats": []}
        assert junto.http.get("/health/ready").status_code in {200, 503}


def sdk(junto: RunningJunto) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{junto.url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_openais_sdk_gets_its_sound(junto: RunningJunto, model: str) -> None:
    with sdk(junto) as client:
        whole = client.audio.speech.create(model=model, voice="alloy", input="Hello there. How are you?")
        length, loudness = sound_of(whole.content)
        assert length == pytest.approx(1.25, abs=0.2)
        assert loudness > 0.01
        with client.audio.speech.with_streaming_response.create(
            model=model, voice="low", input="Hello there.", response_format="wav", speed=2.0
        ) as stream:
            pieces = list(stream.iter_bytes())
        assert stream.headers["content-type"] == "audio/wav"
        assert b"".join(pieces)[:4] == b"RIFF"


def test_openais_sdk_understands_what_is_refused(junto: RunningJunto) -> None:
    with sdk(junto) as client:
        for wrong, param in (
            ({"voice": "lwo"}, "voice"),
            ({"response_format": "opus"}, "response_format"),
            ({"model": "whisper-1"}, "model"),
            ({"input": "  "}, "input"),
            ({"speed": 9.0}, "speed"),
        ):
            asked: dict[str, Any] = {"model": "tts-1", "voice": "low", "input": "Hello.", **wrong}
            with pytest.raises(openai.UnprocessableEntityError) as refused:
                client.audio.speech.create(**asked)
            assert refused.value.param == param
        with pytest.raises(openai.BadRequestError) as unserved:
            client.audio.speech.create(model="tts-1", voice="low", input="Hello.", stream_format="sse")
        assert unserved.value.param == "stream_format"
        with pytest.raises(openai.APIStatusError) as long:
            client.audio.speech.create(model="tts-1", voice="low", input="x" * 10_001)
        assert long.value.status_code == 413


def test_pcm_says_its_rate_and_is_nothing_but_samples(junto: RunningJunto) -> None:
    body = {"model": "tts-1", "voice": "low", "input": "Hello.", "response_format": "pcm"}
    answer = junto.http.post("/v1/audio/speech", json=body)
    assert answer.headers["content-type"] == "audio/pcm;rate=24000"
    assert len(answer.content) == 2 * int(24_000 * 0.05 * 6)


def test_who_hangs_up_stops_the_engine_and_is_recorded_as_gone(tmp_path: Path) -> None:
    engine = Tones(held="Three")
    with humming(tmp_path, engine) as junto:
        body = {"model": "tts-1", "voice": "low", "input": "One. Two. Three. Four.", "response_format": "pcm"}
        with junto.http.stream("POST", "/v1/audio/speech", json=body) as stream:
            heard = stream.iter_bytes()  # let go of, it would hang up at once
            assert next(heard)
            until(engine.reached.is_set)
        until(lambda: engine.ended == 1)
        assert "Four." not in engine.begun
        (record,) = junto.recorded(1)
        assert (record["outcome"], record["operation"], record["wire"]) == ("cancelled", "speech", "openai.speech")


def test_who_hangs_up_before_the_first_sound_stops_the_engine_too(tmp_path: Path) -> None:
    engine = Tones(held="One")
    with humming(tmp_path, engine) as junto:
        body = b'{"model":"tts-1","voice":"low","input":"One. Two."}'
        with socket.create_connection(("127.0.0.1", junto.port), timeout=20) as raw:
            head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % len(body)
            raw.sendall(head + body)
            until(engine.reached.is_set)
        until(lambda: engine.ended == 1)


def test_sound_that_breaks_off_is_not_taken_for_whole(tmp_path: Path) -> None:
    with humming(tmp_path, Tones(crashes=1, crash_on="Two")) as junto:
        body = {"model": "tts-1", "voice": "low", "input": "One. Two.", "response_format": "pcm"}
        with pytest.raises(Exception, match=r"(?i)peer|incomplete|closed|body"):
            junto.http.post("/v1/audio/speech", json=body)
        whole = junto.http.post("/v1/audio/speech", json=body)
        assert whole.status_code == 200


def test_an_exchange_is_recorded_at_its_tier(tmp_path: Path) -> None:
    with humming(tmp_path, Tones()) as junto:
        body = {"model": "tts-1", "voice": "low", "input": "Between us."}
        headers = {"x-junto-sensitivity": "confidential", "x-junto-task": "greeting"}
        junto.http.post("/v1/audio/speech", json=body, headers=headers).raise_for_status()
        (record,) = junto.recorded(1)
        assert (record["sensitivity"], record["keep"], record["task_type"]) == ("confidential", "metadata", "greeting")
        assert record["usage"]["input_tokens"] == len("Between us.")


def test_speech_and_chats_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """More speech than there is room for is pending, and a chat job is done all the same."""
    engine = Tones(held="stay")
    config = {"builtin_model": "off", "speech": {"workers": 1}}
    with humming(tmp_path, engine, config) as junto:
        jobs = [junto.http.post("/tts", json={"text": f"We stay {n}."}).json()["job_id"] for n in range(4)]
        until(engine.reached.is_set)
        states = [junto.http.get(f"/jobs/{job}").json()["status"] for job in jobs]
        assert sorted(states) == ["pending", "pending", "pending", "running"]
        chat = {"task_type": "bio", "prompt": "Who?", "model": "fast", "async": True, "max_attempts": 1}
        answer = junto.http.post("/jobs", json=chat)
        if answer.status_code == 202:
            until(lambda: junto.http.get(f"/jobs/{answer.json()['job_id']}").json()["attempts"] >= 1)
        junto.call(engine.release.set)
        assert {ended(junto, job)["status"] for job in jobs} == {"complete"}


def test_many_at_once_are_all_said(junto: RunningJunto) -> None:
    found: list[int] = []

    def ask() -> None:
        body = {"model": "tts-1", "voice": "low", "input": "All of us. At once."}
        found.append(junto.http.post("/v1/audio/speech", json=body).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [200] * 8
