"""A reload: everything at once or nothing, and never wider open than what is listened on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap import reload
from junto.bootstrap.assembly import Assembly
from junto.bootstrap.clock import SystemClock
from junto.bootstrap.convening import Councils
from junto.bootstrap.fleet import Fleet
from junto.bootstrap.known import known_providers
from junto.bootstrap.reload import Operation, ReloadRefused
from junto.catalog.board import LiveBoard
from junto.core.document import ConfigErrors
from junto.identity.authentication import Authenticator, AuthMode
from junto.identity.keyring import Keyring
from junto.identity.principal import Principal
from junto.providers.fake import Fake
from junto.settings.load import parse
from junto.settings.model import ServeOptions
from junto.telemetry.observers import Observers

if TYPE_CHECKING:
    from junto.settings.model import BackendSettings, Settings

pytestmark = pytest.mark.anyio


class Started(Fake):
    """A backend that remembers whether it was started and closed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.events: list[str] = []

    async def start(self) -> None:
        self.events.append("start")

    async def close(self) -> None:
        self.events.append("close")


class Calendar(SystemClock):
    """A clock that a test can put ahead by days."""

    days = 0

    def wall_ms(self) -> int:
        return super().wall_ms() + self.days * 86_400_000


class House:
    """An operation whose configuration a test rewrites."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.made: dict[str, list[Started]] = {}
        self.refused: set[str] = set()
        clock = self.clock = Calendar()
        self.board = LiveBoard()
        self.fleet = Fleet(self.board, clock, make=self._make)
        self.operation = Operation(
            self.settings(),
            read_settings=self.settings,
            fleet=self.fleet,
            assembly=Assembly(self.fleet, self.board, Councils(self.settings(), clock=clock, observer=Observers)),
            board=self.board,
            clock=clock,
            make_authenticator=self._authenticator,
        )

    def _authenticator(self, mode: AuthMode, open_client: Principal) -> Authenticator:
        async def refresh() -> bool:
            return True

        return Authenticator(
            mode=mode,
            admin_digest=b"",
            open_client=open_client,
            keyring=Keyring(),
            clock=self.clock,
            refresh=refresh,
        )

    def settings(self) -> Settings:
        text = f"builtin_model: off\n{self.text}"
        environ = {"OLLAMA_HOST": "http://127.0.0.1:9"}
        return parse(text, environ, ServeOptions(), known_providers=known_providers())

    def _make(self, backend: BackendSettings) -> Started:
        if backend.name in self.refused:
            raise ValueError("the address of an upstream is not one")
        provider = Started(backend.name)
        self.made.setdefault(backend.name, []).append(provider)
        return provider


def backends(*names: str, more: str = "") -> str:
    entries = [f"  - {{name: {name}, provider: fake, models: [m-{name}]{more}}}" for name in names]
    return "\n".join(["backends:", *entries])


async def until_idle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_backend_that_cannot_be_made_leaves_everything_as_it_was() -> None:
    house = House(backends("one", "two"))
    await house.operation.start(beat=False)
    before = house.operation.current.runtime
    house.text = backends("two", "three", "four", more=", priority: 7")
    house.refused = {"four"}
    with pytest.raises(ReloadRefused) as refused:
        await house.operation.reload()
    assert "four" in refused.value.reasons[0]
    await until_idle()
    assert house.operation.current.runtime is before
    assert set(house.fleet.providers) >= {"one", "two"}
    assert [provider.events for provider in house.made["one"] + house.made["two"][:1]] == [["start"], ["start"]]
    house.refused = set()
    await house.operation.reload()
    names = {deployment.backend for deployment in house.operation.current.runtime.snapshot.deployments}
    assert names == {"two", "three", "four"}
    await house.fleet.close()


async def test_what_cannot_be_made_at_start_is_an_error_of_the_configuration() -> None:
    house = House(backends("one"))
    house.refused = {"one"}
    with pytest.raises(ConfigErrors, match="one: the address of an upstream is not one"):
        await house.operation.start(beat=False)


async def test_a_reload_does_not_open_an_address_that_other_machines_reach() -> None:
    house = House("server: {host: 0.0.0.0}\nauth: {mode: keys}")
    await house.operation.start(beat=False)
    house.text = "server: {host: 127.0.0.1}\nauth: {mode: open}"
    with pytest.raises(ReloadRefused) as refused:
        await house.operation.reload()
    assert "0.0.0.0" in refused.value.reasons[0]
    house.text = "server: {host: 127.0.0.1}\nauth: {mode: keys}"
    for _ in range(2):  # said each time, not only the first one
        assert any("server has changed" in warning for warning in await house.operation.reload())
    await house.fleet.close()


async def test_more_slots_let_waiting_requests_in_at_once() -> None:
    house = House(backends("one", more=", slots: 1"))
    await house.operation.start(beat=False)
    runtime = house.operation.current.runtime
    target = runtime.targets["one/m-one"]
    assert target.slots is not None
    live = house.board.backend("one")
    live.in_use = 1
    granted: list[int | None] = []
    target.slots.grant = lambda: granted.append(live.slots)  # type: ignore[method-assign]
    house.text = backends("one", more=", slots: 3")
    await house.operation.reload()
    assert granted == [3]
    await house.fleet.close()


async def test_a_backend_that_is_switched_off_is_not_started() -> None:
    house = House(backends("one", more=", enabled: false"))
    await house.operation.start(beat=False)
    await until_idle()
    assert house.made["one"][0].events == []
    await house.fleet.close()


async def test_a_new_day_is_assembled_anew_for_its_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_CALENDAR_SECONDS", 0)
    house = House(backends("one"))
    await house.operation.start(beat=False)
    version = house.operation.current.runtime.snapshot.version
    await until_idle()
    assert house.operation.current.runtime.snapshot.version == version
    house.clock.days = 1
    await until_idle()
    assert house.operation.current.runtime.snapshot.version == version + 1
    await house.operation.stop()
    await house.operation.stop()
    await house.fleet.close()


async def test_a_provider_that_was_replaced_is_closed_after_its_own_last_request_and_not_its_successor_s() -> None:
    house = House(backends("one"))
    await house.operation.start(beat=False)
    await until_idle()
    under_way = [house.operation.current.runtime.targets["one/m-one"]]  # as a request has it
    house.board.backend("one").in_flight = 5  # of both, by their name
    house.text = backends("one", more=", priority: 7")
    await house.operation.reload()
    old, new = house.made["one"]
    await asyncio.sleep(0.6)
    assert old.events == ["start"]
    under_way.clear()
    async with asyncio.timeout(10):
        while "close" not in old.events:  # noqa: ASYNC110  a list tells nobody
            await asyncio.sleep(0.05)
    assert new.events == ["start"]
    await house.fleet.close()
