"""Callers of a cluster, each a thread: they submit jobs or chat until they are told to stop, and note what they were told.

A submission is repeated with its key until it is answered, as a careful caller does. A chat is not: what was answered counts.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2

from tests.chaos.dispatch.cluster import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REPEAT_SECONDS: Final = 0.1
_TIMEOUT: Final = 90.0


class Told:
    """What callers were told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accepted: dict[str, str] = {}  # the job of each key
        self.answered: list[str] = []  # the ids of chats
        self.statuses: Counter[str] = Counter()  # of all answers; `broken` is a connection that failed
        self.complaints: list[str] = []

    def heard(self, response: httpx2.Response) -> None:
        """Count an answer; a 503 that does not say when to come back is a complaint, as is every 500."""
        with self._lock:
            self.statuses[str(response.status_code)] += 1
            if response.status_code >= 500 and (response.status_code != 503 or "retry-after" not in response.headers):
                self.complaints.append(f"{response.status_code} {dict(response.headers)} {response.text[:300]}")

    def broken(self, error: httpx2.HTTPError) -> None:
        """Count a connection that failed."""
        with self._lock:
            self.statuses[f"broken: {type(error).__name__}"] += 1

    def accept(self, key: str, job_id: str) -> None:
        """A key stands for one job, however often it is used."""
        with self._lock:
            if self.accepted.setdefault(key, job_id) != job_id:
                self.complaints.append(f"{key} stands for {job_id} and {self.accepted[key]}")

    def complain(self, words: str) -> None:
        """Note what must not be."""
        with self._lock:
            self.complaints.append(words)


class Load:
    """Threads that call; leaving the block stops them and waits for their last answers."""

    def __init__(self, urls: Callable[[], list[str]], key: str) -> None:
        self._urls = urls
        self._headers = {"authorization": f"Bearer {key}"}
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._numbers = itertools.count()
        self.told = Told()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_TIMEOUT)
            assert not thread.is_alive()
        self._threads.clear()

    def wait(self) -> None:
        """Wait until all that was to be submitted is."""
        for thread in self._threads:
            thread.join(_TIMEOUT * 5)
            assert not thread.is_alive()

    def jobs(self, threads: int, *, most: int | None = None, pause: float = 0.0, **body: object) -> None:
        """Submit jobs from so many threads, `most` in all; `body` is what they are besides."""
        keys = iter(range(most)) if most is not None else itertools.count()
        lock = threading.Lock()
        prefix = f"k{len(self._threads)}"

        def work(client: httpx2.Client) -> None:
            while not self._stopped.is_set():
                with lock:
                    number = next(keys, None)
                if number is None:
                    return
                self.submit(client, f"{prefix}-{number}", **body)
                time.sleep(pause)

        self._begin(threads, work)

    def chats(self, threads: int, *, pause: float = 0.0) -> None:
        """Chat from so many threads, whole and streamed in turns."""

        def work(client: httpx2.Client) -> None:
            for stream in itertools.cycle((False, True)):
                if self._stopped.is_set():
                    return
                self._chat(client, stream=stream)
                time.sleep(pause)

        self._begin(threads, work)

    def submit(self, client: httpx2.Client, key: str, **body: object) -> str | None:
        """Submit until it is answered; the job's id, None where it was refused for good."""
        asked = {**_BODY, "prompt": f"Say it. {key}", "async": True, **body}
        while True:
            response = self._post(client, "/jobs", asked, {"idempotency-key": key})
            if response is not None and (id := self._read(key, response)):
                return id
            if response is not None and response.status_code == 402:
                return None
            if response is not None and response.status_code not in {409, 503}:
                self.told.complain(f"{key}: {response.status_code} {response.text[:300]}")
                return None
            time.sleep(_REPEAT_SECONDS * (1 + random.random()))

    def _read(self, key: str, response: httpx2.Response) -> str | None:
        if response.status_code not in {200, 202}:
            said = response.json()
            if not isinstance(said, dict) or "job_id" not in said:
                return None
        id = str(response.json()["job_id"])
        self.told.accept(key, id)
        return id

    def _chat(self, client: httpx2.Client, *, stream: bool) -> None:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Say it."}], "stream": stream, "max_tokens": 5}
        response = self._post(client, "/v1/chat/completions", body, {"x-junto-sensitivity": "public"})
        if response is None:
            return
        if response.status_code == 200 and (not stream or response.text.endswith("data: [DONE]\n\n")):
            self.told.answered.append(response.headers["x-junto-request-id"])
        elif response.status_code not in {402, 503}:
            self.told.complain(f"chat: {response.status_code} {response.text[-300:]}")

    def _post(
        self, client: httpx2.Client, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> httpx2.Response | None:
        urls = self._urls()
        if not urls:
            return None
        try:
            response = client.post(urls[next(self._numbers) % len(urls)] + path, json=body, headers=headers)
        except httpx2.HTTPError as error:
            self.told.broken(error)
            return None
        self.told.heard(response)
        return response

    def _begin(self, threads: int, work: Callable[[httpx2.Client], None]) -> None:
        def run() -> None:
            try:
                with httpx2.Client(headers=self._headers, timeout=_TIMEOUT, trust_env=False) as client:
                    work(client)
            except Exception as error:  # noqa: BLE001  a thread that dies silently would make the scenario easy
                self.told.complain(f"a caller died: {error!r}")

        for _ in range(threads):
            thread = threading.Thread(target=run, daemon=True)
            self._threads.append(thread)
            thread.start()


def moments(seed: int, least: float, longest: float) -> Iterator[float]:
    """Random pauses, the same in every run."""
    chance = random.Random(seed)
    while True:
        yield chance.uniform(least, longest)


_BODY: Final = {
    "task_type": "chaos",
    "model": MODEL,
    "sensitivity": "public",
    "max_tokens": 5,
    "max_attempts": 10,
}
