"""kill -9 of a serving Junto under load, again and again: what a caller has received to its end is stored, once.

The clients note the id of an exchange only when they have all of its answer; an answer that was cut off was never acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Self

import httpx2

from tests.upstreams import OpenAIEmulator, Script, Scripted

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20
CALLERS = 4
ADMIN_KEY = "jt_a-key-for-tests-only-0123456789"
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_START_SECONDS = 30.0


class Served:
    """A `junto serve` of its own on the given data; leaving the block stops it in order, `kill` does not."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str]
        self.url = ""

    def __enter__(self) -> Self:
        environ = {
            "HOME": str(self._directory),
            "JUNTO_ADMIN_KEY": ADMIN_KEY,
            "OLLAMA_HOST": "http://127.0.0.1:9",
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        command = [sys.executable, "-c", "from junto.cli.main import run; run()", "serve", "--port", "0"]
        command += ["--config", str(self._directory / "junto.yaml"), "--data-dir", str(self._directory / "data")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ, cwd=self._directory
            )
        try:
            self.url = self._address()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def kill(self) -> None:
        """Send SIGKILL, and see that it ended so."""
        self._process.kill()
        assert self._process.wait(_START_SECONDS) == -signal.SIGKILL

    def _address(self) -> str:
        assert self._process.stdout is not None
        watchdog = threading.Timer(_START_SECONDS, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                if found := _ADDRESS.search(line):
                    return found[0]
        finally:
            watchdog.cancel()
        raise AssertionError((self._directory / "log").read_text()[-2000:])


class Caller(threading.Thread):
    """Asks whole and streamed in turns until nobody answers any more; `acknowledged` are the ids of what it has whole."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._number = number
        self.acknowledged: list[str] = []
        self.complaint: AssertionError | None = None

    def run(self) -> None:
        with suppress(httpx2.HTTPError), httpx2.Client(base_url=self._url, timeout=10) as client:
            try:
                for turn in range(100_000):
                    self.acknowledged.append(self._ask(client, stream=(turn + self._number) % 2 == 0))
            except AssertionError as complaint:
                self.complaint = complaint

    def _ask(self, client: httpx2.Client, *, stream: bool) -> str:
        body = {"model": "gpt-test", "messages": [{"role": "user", "content": "Say it."}], "stream": stream}
        response = client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        if stream:
            assert response.text.endswith("data: [DONE]\n\n")
        else:
            assert json.loads(response.content)["choices"][0]["finish_reason"] == "stop"
        return str(response.headers["x-junto-request-id"])


def acknowledged_until_killed(directory: Path, seconds: float) -> list[str]:
    """Serve, let the callers in, kill it after so long, and return the ids of all answers that were received whole."""
    with Served(directory) as junto:
        callers = [Caller(junto.url, number) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        while not any(caller.acknowledged for caller in callers) and all(caller.is_alive() for caller in callers):
            time.sleep(0.001)
        time.sleep(seconds)
        junto.kill()
        for caller in callers:
            caller.join(_START_SECONDS)
            assert not caller.is_alive()
            if caller.complaint is not None:
                raise caller.complaint
    return [id for caller in callers for id in caller.acknowledged]


def stored_ids(directory: Path) -> list[str]:
    """Every exchange in the database, as a plain reader of the file sees it."""
    with closing(sqlite3.connect(directory / "data" / "junto.sqlite3")) as database:
        return [id for (id,) in database.execute("SELECT id FROM exchanges")]


def counted_answers(directory: Path) -> dict[str, int]:
    """How many answers there are, as the exchanges say and as the daily figures and their latencies do."""
    asked = {
        "exchanges": "SELECT count(*) FROM exchanges WHERE outcome = 'ok'",
        "figures": "SELECT sum(answers) FROM eval_days",
        "latencies": "SELECT sum(answers) FROM eval_latencies",
    }
    with closing(sqlite3.connect(directory / "data" / "junto.sqlite3")) as database:
        return {name: int(database.execute(statement).fetchone()[0]) for name, statement in asked.items()}


def test_no_answer_that_was_received_is_lost_or_doubled_by_twenty_kills(tmp_path: Path) -> None:
    moments = random.Random(9)
    acknowledged: list[str] = []
    script = Script()
    script.always(Scripted(text="It is said, in more than one word."))
    with OpenAIEmulator(script) as upstream:
        config = {
            "builtin_model": "off",
            "backends": [{"name": "up", "provider": "openai", "url": upstream.base_url, "models": ["gpt-test"]}],
        }
        (tmp_path / "junto.yaml").write_text(json.dumps(config))
        for _ in range(KILLS):
            acknowledged += acknowledged_until_killed(tmp_path, moments.uniform(0.0, 0.3))
        with Served(tmp_path) as junto:  # once more, and stopped in order: what the journal held is stored
            headers = {"authorization": f"Bearer {ADMIN_KEY}"}
            last = httpx2.get(f"{junto.url}/admin/responses/{acknowledged[-1]}", headers=headers, timeout=10)
    assert last.status_code == 200
    assert last.json()["answer"] is not None
    stored = stored_ids(tmp_path)
    assert len(acknowledged) == len(set(acknowledged)) > 2 * KILLS
    assert set(acknowledged) - set(stored) == set()
    assert len(stored) == len(set(stored))
    assert len(set(counted_answers(tmp_path).values())) == 1
