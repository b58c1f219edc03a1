"""What is in force and how it changes: settings, prices, backends found, and the swap of all of them at once.

A reload reads everything first; if any of it is wrong nothing changes. Server address, data directory and database are
fixed for the life of the process: a change of those is told and waits for a restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from junto.bootstrap.fleet import key_hint
from junto.catalog.price_files import read_prices
from junto.core.document import ConfigError, ConfigErrors
from junto.core.errors import InvalidRequest, UpstreamFailure
from junto.core.sensitivity import Locality
from junto.gateway.heartbeat import Heartbeats, Watched
from junto.gateway.runtime import Current
from junto.identity.authentication import Authenticator, AuthMode
from junto.identity.principal import ApiScope, Principal
from junto.providers.llama_cpp import builtin
from junto.providers.registry import VENDORS, Family
from junto.settings.environment import BUILTIN, is_loopback
from junto.settings.model import BackendSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.bootstrap.assembly import Assembly
    from junto.bootstrap.fleet import Fleet
    from junto.catalog.board import LiveBoard
    from junto.catalog.prices import PriceTable
    from junto.ports.clock import Clock
    from junto.settings.model import Settings

_CLOUD_EVERY = 300.0  # seconds: a cloud's list of models changes rarely, and its health shows in its traffic
_FIRST_LOOK_SECONDS = 1.0
_CALENDAR_SECONDS = 60.0
_DAY_MS = 86_400_000


class ReloadRefused(InvalidRequest):
    """The configuration on disk is wrong; what was in force stays."""

    status = 422
    code = "invalid_configuration"


class Operation:
    """The process's configuration in force."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings],
        fleet: Fleet,
        assembly: Assembly,
        board: LiveBoard,
        clock: Clock,
        make_authenticator: Callable[[AuthMode, Principal], Authenticator],
    ) -> None:
        self._settings = self._in_force = self._at_start = settings
        self._read_settings = read_settings
        self._fleet = fleet
        self._assembly = assembly
        self._board = board
        self._clock = clock
        self._new_authenticator = make_authenticator
        self._prices = read_prices(settings.pricing_file)
        self._backends: tuple[BackendSettings, ...] = ()
        self._lock = asyncio.Lock()
        self._beats = False
        self._calendar: asyncio.Task[None] | None = None
        self._followers: list[Callable[[Settings], Awaitable[list[str]]]] = []
        self._log = structlog.get_logger()
        self.heartbeats = Heartbeats(clock=clock, on_change=self.reassemble)
        self.authenticator = self._make_authenticator(settings)
        self.current = Current(assembly.assemble(settings, (), self._prices, {}))

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._in_force

    @property
    def keeps_strangers_out(self) -> bool:
        """Whether web pages of other hosts must be turned away: no key is needed, and only this machine is meant to ask."""
        return self._in_force.auth.mode == "open" and not self._in_force.auth.allow_open_beyond_loopback

    @property
    def body_limit(self) -> int:
        """Bytes of a request's body."""
        return self._in_force.server.max_body_mb * 1024 * 1024

    async def start(self, *, beat: bool) -> None:
        """Put the backends in service; look for them once before the first request, then keep watching."""
        self._apply(self._settings, self._prices, await self._with_builtin(self._settings, look=beat))
        self._beats = beat
        if beat:
            await self._look()
            self.heartbeats.start()
        self._calendar = asyncio.create_task(self._follow_the_date(), name="calendar")

    async def stop(self) -> None:
        """Stop watching; safe to call twice."""
        await self.heartbeats.stop()
        if self._calendar is not None:
            self._calendar.cancel()
            await asyncio.gather(self._calendar, return_exceptions=True)

    def on_reload(self, follow: Callable[[Settings], Awaitable[list[str]]]) -> None:
        """Have this called with what a reload has put in force; it gives warnings and raises nothing."""
        self._followers.append(follow)

    async def reload(self) -> list[str]:
        """Read configuration and prices again and put them in force; the warnings. Raises ReloadRefused with every error."""
        async with self._lock:
            try:
                settings = self._read_settings()
                _refuse_to_open(self._at_start.server.host, settings)
                prices = read_prices(settings.pricing_file)
                self._prepare(settings, prices, await self._with_builtin(settings, look=True))
            except ConfigErrors as refused:
                errors = refused.lines
                self._log.error("reload_refused", errors=errors)
                raise ReloadRefused(
                    "The configuration was not reloaded; what was in force stays.", reasons=errors
                ) from refused
            try:
                if self._beats:
                    await self._look()  # what was in force answers meanwhile, so that no model is missed by anyone
            finally:
                self._swap()
            warnings = [*settings.warnings, *_fixed_for_life(self._at_start, settings)]
            for follow in self._followers:
                warnings += await follow(settings)
            self._log.info("reloaded", warnings=warnings or None)
            return warnings

    def _apply(self, settings: Settings, prices: PriceTable, backends: tuple[BackendSettings, ...]) -> None:
        self._prepare(settings, prices, backends)
        self._swap()

    def _prepare(self, settings: Settings, prices: PriceTable, backends: tuple[BackendSettings, ...]) -> None:
        """Make everything ready beside what is in force; raises ConfigErrors, and then nothing was done."""
        self._fleet.put_in_service(backends, self.heartbeats.hurry)  # first, since it may refuse
        self._settings, self._prices, self._backends = settings, prices, backends
        self.heartbeats.watch([self._watched(backend) for backend in backends if backend.enabled])

    def _swap(self) -> None:
        """Put what was prepared in force; what it replaces ends with its last request."""
        self.reassemble()
        self._fleet.let_go()
        self._fleet.grant_slots()

    async def _look(self) -> None:
        """Probe all backends that are due, but wait for a short while only: a slow one is found by a later beat."""
        try:
            async with asyncio.timeout(_FIRST_LOOK_SECONDS):
                await self.heartbeats.beat()
        except TimeoutError:
            pass

    async def _follow_the_date(self) -> None:
        """Prices carry dates, and what is in force holds those of the day that it was assembled on."""
        day = self._clock.wall_ms() // _DAY_MS
        while True:
            await asyncio.sleep(_CALENDAR_SECONDS)
            if self._clock.wall_ms() // _DAY_MS != day:
                day = self._clock.wall_ms() // _DAY_MS
                self.reassemble()

    def reassemble(self) -> None:
        """Make the runtime anew from what is in force, and swap it in."""
        self._in_force = self._settings
        self.authenticator = self._make_authenticator(self._settings)
        self.current.runtime = self._assembly.assemble(
            self._settings, self._backends, self._prices, self.heartbeats.found
        )

    def _watched(self, backend: BackendSettings) -> Watched:
        is_local = _is_local(backend)
        return Watched(
            name=backend.name,
            provider=self._fleet.providers[backend.name],
            live=self._board.backend(backend.name),
            every=self._settings.routing.heartbeat_interval if is_local else _CLOUD_EVERY,
            optional=backend in self._settings.ollama_candidates,
            key_hint=key_hint(backend),
        )

    def _make_authenticator(self, settings: Settings) -> Authenticator:
        open_client = Principal(
            allow_cloud_for_internal=settings.auth.open_client.allow_cloud_for_internal,
            scopes=frozenset(ApiScope) - {ApiScope.SERVICE},  # nobody in particular speaks for no tenant
        )
        return self._new_authenticator(AuthMode(settings.auth.mode), open_client)

    async def _with_builtin(self, settings: Settings, *, look: bool) -> tuple[BackendSettings, ...]:
        """The configured backends, the servers that may be found, and the built-in model where it is wanted."""
        backends = (*settings.backends, *settings.ollama_candidates)
        weights = builtin.find()
        if weights is None or settings.builtin_model == "off":
            return backends
        if settings.builtin_model == "auto" and (
            any(backend.enabled and _is_local(backend) for backend in settings.backends)
            or (look and await self._any_answers(settings.ollama_candidates))
        ):
            return backends
        models = {builtin.NAME: str(weights)}
        return (*backends, BackendSettings(name=BUILTIN, provider="llama_cpp", models=models))

    async def _any_answers(self, candidates: tuple[BackendSettings, ...]) -> bool:
        for candidate in candidates:
            provider = self._fleet.make(candidate)
            try:
                async with asyncio.timeout(_FIRST_LOOK_SECONDS):
                    await provider.probe()
            except (UpstreamFailure, TimeoutError):
                continue
            finally:
                await provider.close()
            return True
        return False


def _is_local(backend: BackendSettings) -> bool:
    vendor = VENDORS[backend.provider]
    declared = None if backend.locality is None else Locality(backend.locality)
    return (declared or vendor.locality) is Locality.LOCAL and vendor.family is not Family.FAKE


def _refuse_to_open(host: str, settings: Settings) -> None:
    """Settings were checked with the address they name; what counts is the one that is listened on, which a reload keeps."""
    is_open = settings.auth.mode == "open" and not settings.auth.allow_open_beyond_loopback
    if is_open and not is_loopback(host):
        message = f"may not become open: this process listens on {host}, which other machines can reach"
        raise ConfigErrors([ConfigError("auth.mode", None, message)])


def _fixed_for_life(old: Settings, new: Settings) -> list[str]:
    """What a reload cannot change, as sentences."""
    fixed = {
        "server": (
            (old.server.host, old.server.port, old.server.workers),
            (new.server.host, new.server.port, new.server.workers),
        ),
        "data_dir": (old.data_dir, new.data_dir),
        "database_url": (old.database_url, new.database_url),
        "redis_url": (old.redis_url, new.redis_url),
        "jobs": (old.jobs, new.jobs),
        "channels": (old.channels, new.channels),
        "storage": (
            (old.storage.compress, old.storage.retention_days),
            (new.storage.compress, new.storage.retention_days),
        ),
        "metrics": (old.metrics, new.metrics),
        "logging": (old.logging, new.logging),
    }
    return [f"{name} has changed: that takes a restart." for name, (was, now) in fixed.items() if was != now]
