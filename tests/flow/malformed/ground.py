"""One Junto in front of an upstream of each dialect that plays bytes, and somebody who asks."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

from tests.flow.malformed.good import DIALECTS
from tests.flow.malformed.verdict import question
from tests.flow.running import RunningJunto
from tests.upstreams import RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Ground:
    """`upstreams` by dialect; `elsewhere` is an address where nobody may go."""

    def __init__(
        self, junto: RunningJunto, upstreams: dict[str, RawServer], elsewhere: RawServer, client: httpx2.Client
    ) -> None:
        self.junto = junto
        self.upstreams = upstreams
        self.elsewhere = elsewhere
        self._client = client

    def ask(self, caller: str, dialect: str, *, stream: bool) -> httpx2.Response:
        """One question to that dialect's model; a hang ends it with an error."""
        path, body = question(caller, f"{dialect}-model", stream=stream)
        return self._client.post(path, json=body)

    def stored(self, id: str) -> dict[str, Any]:
        """That exchange as it is stored, as soon as it is."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            response = self._client.get(f"/admin/responses/{id}", headers=self.junto.admin)
            if response.status_code == 200:
                found: dict[str, Any] = response.json()
                return found
            time.sleep(0.02)
        raise AssertionError(f"{id} is not stored")


@contextmanager
def prepared(data_dir: Path, seconds: float) -> Iterator[Ground]:
    """Start everything; an upstream may be silent for so many seconds in each phase once it is connected."""
    phases = ("headers", "first_token", "cold_first_token", "idle")
    with ExitStack() as stack:
        upstreams = {dialect: stack.enter_context(RawServer()) for dialect in DIALECTS}
        elsewhere = stack.enter_context(RawServer())
        backends = [
            {
                "name": f"the-{dialect}",
                "provider": dialect,
                "url": f"{server.url}/v1" if dialect == "openai" else server.url,
                "models": {f"{dialect}-model": "m"},
                "slots": 50,
                "timeouts": dict.fromkeys(phases, seconds),
            }
            for dialect, server in upstreams.items()
        ]
        config = {"backends": backends, "routing": {"max_attempts": 1}}
        prices = "".join(
            f"- {{backend: the-{one}, model: m, from: 2020-01-01, input: 1, output: 2}}\n" for one in DIALECTS
        )
        junto = stack.enter_context(RunningJunto(data_dir, config, beat=False, pricing=prices))
        client = stack.enter_context(httpx2.Client(base_url=junto.url, timeout=20))
        yield Ground(junto, upstreams, elsewhere, client)
