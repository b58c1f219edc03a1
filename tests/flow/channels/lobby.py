"""A Junto with an agent on the web and a scripted model behind it, and visitors that talk to it over real sockets."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from junto.bootstrap.agent_jobs import AgentOptions
from junto.bootstrap.jobs import JobOptions
from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from websockets.sync.client import ClientConnection

QUICK = AgentOptions(sweep=0.3, young=1.0)
PATIENCE = 30.0
VISITORS = {"web": {"enabled": True, "visitors": True}}


class Lobby:
    """A model and a Junto before it; Junto can be started again on the same data."""

    def __init__(self, folder: Path, environ: dict[str, str], *, auth: str = "keys") -> None:
        self.model = OpenAIEmulator(Script(), models=("gpt-test",))
        self._folder = folder
        self._environ = environ
        self._auth = auth
        self._sockets = ExitStack()
        self.junto: RunningJunto

    def __enter__(self) -> Self:
        self.model.start()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.close()
        self.junto.__exit__(None, None, None)
        self.model.stop()

    def _start(self) -> None:
        backend = {"name": "rack", "provider": "openai", "url": self.model.base_url, "locality": "local", "slots": 4}
        config = {
            "auth": {"mode": self._auth},
            "backends": [{**backend, "api_key": "none", "models": ["gpt-test"]}],
            "jobs": {"worker": "on"},
        }
        options = JobOptions(lease=3.0, sweep=0.1, grace=0.2)
        self.junto = RunningJunto(
            self._folder, config, environ=self._environ, jitter=lambda: 0.0, agent_options=QUICK, job_options=options
        )
        self.junto.__enter__()

    def restart(self) -> None:
        self.junto.__exit__(None, None, None)
        self._start()

    def hire(self, name: str = "front-desk", **fields: Any) -> None:
        """Make an agent that visitors may talk to."""
        agent = {"name": name, "model": "gpt-test", "channels": VISITORS, **fields}
        response = self.junto.http.post("/agents", json=agent, headers=self.junto.admin)
        assert response.status_code == 201, response.text

    def change(self, **fields: Any) -> None:
        response = self.junto.http.patch("/agents/front-desk", json=fields, headers=self.junto.admin)
        assert response.status_code == 200, response.text

    def link(self, name: str = "front-desk", **fields: Any) -> str:
        """The path of a new visitor's link."""
        response = self.junto.http.post(f"/agents/{name}/visitor-links", json=fields, headers=self.junto.admin)
        assert response.status_code == 201, response.text
        return str(response.json()["path"])

    def cookie(self, link: str) -> dict[str, str]:
        """What a browser has after it opened a link, as headers."""
        response = self.junto.http.get(link)
        assert response.status_code == 303, response.text
        self.junto.http.cookies.clear()
        return {"cookie": response.headers["set-cookie"].partition(";")[0]}

    def page(self, cookie: dict[str, str], name: str = "front-desk", **options: Any) -> Page:
        """A page of a visitor with a session, open."""
        options = {"origin": self.junto.url, "additional_headers": cookie, **options}
        return Page(self.socket(f"/chat/{name}", **options))

    def socket(self, path: str, **options: Any) -> ClientConnection:
        url = self.junto.url.replace("http", "ws", 1) + path
        opening = connect(url, compression=None, proxy=None, open_timeout=PATIENCE, close_timeout=2, **options)
        socket: ClientConnection = self._sockets.enter_context(opening)
        return socket

    def refused(self, path: str, **options: Any) -> tuple[int, bytes]:
        """The status and the words with which a socket was not opened."""
        try:
            socket = self.socket(path, **options)
        except InvalidStatus as refused:
            return refused.response.status_code, bytes(refused.response.body or b"")
        socket.close()
        raise AssertionError("it was opened")

    def questions(self) -> list[list[str]]:
        """What the model was shown each time, without the system prompt."""
        asked = self.model.script.requests_to("/v1/chat/completions")
        return [[one["content"] for one in each.json["messages"] if one["role"] != "system"] for each in asked]


class Page:
    """What a chat page does: it knows the last event that it has seen, and of which log."""

    def __init__(self, socket: ClientConnection, *, after: Page | None = None) -> None:
        self.socket = socket
        self.last: int = 0 if after is None else after.last
        self.log: str = "" if after is None else after.log
        self.events: list[dict[str, Any]] = []
        self.text: dict[str, str] = {} if after is None else after.text
        self.messages: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def begin(self) -> dict[str, Any]:
        """Say where to go on, and hear what there is."""
        self.send(type="resume", last_event=self.last, log=self.log)
        event = self.until(lambda event: event["type"] == "ready")
        self.log, self.messages = event["log"], event["messages"]
        if not event["resumed"]:
            self.text = {one["id"]: one["text"] for one in self.messages if one["role"] == "assistant"}
        return event

    def say(self, id: str, text: str) -> None:
        self.send(type="message", id=id, text=text)

    def ask(self, id: str, text: str) -> str:
        """Say something and wait for the reply."""
        self.say(id, text)
        return self.reply(id)

    def reply(self, id: str) -> str:
        return str(self.until(lambda event: event["type"] == "reply" and event["id"] == id)["text"])

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Hear events until one of this kind comes."""
        while True:
            event: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE))
            self._hear(event)
            if holds(event):
                return event

    def _hear(self, event: dict[str, Any]) -> None:
        """As the page does it: pieces are put together, each where it belongs."""
        begins_anew = event["type"] == "ready" and not event["resumed"]
        assert begins_anew or event["event"] >= self.last
        if event["type"] not in {"ready", "ping", "error"}:
            assert event["event"] > self.last, "an event came twice"
        self.last = event["event"]
        self.events.append(event)
        if event["type"] == "delta":
            known = self.text.get(event["id"], "")
            assert event["offset"] <= len(known), "something between was lost"
            self.text[event["id"]] = known[: event["offset"]] + event["text"]
