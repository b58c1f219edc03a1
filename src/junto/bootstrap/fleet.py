"""The providers of the configured backends: made once per backend, kept across reloads as long as nothing about them changed.

A backend that a reload removed or changed is closed when its last request has ended.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from junto.core.document import ConfigError, ConfigErrors
from junto.core.sensitivity import Locality
from junto.gateway.slots import SlotPool
from junto.providers.anthropic import Anthropic
from junto.providers.connection import Address
from junto.providers.fake import Fake
from junto.providers.http.origin import Origin
from junto.providers.llama_cpp import builtin
from junto.providers.llama_cpp.process import Model
from junto.providers.llama_cpp.provider import LlamaCpp
from junto.providers.ollama import Ollama
from junto.providers.openai_compatible import OpenAICompatible
from junto.providers.registry import VENDORS, Family
from junto.settings.environment import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from junto.catalog.board import LiveBoard
    from junto.gateway.runtime import Target
    from junto.ports.clock import Clock
    from junto.ports.provider import Provider
    from junto.routing.facts import BackendLive
    from junto.settings.model import BackendSettings

_DRAIN_SECONDS = 600.0
_LLAMA_SLOTS = 2


class MakeSlots(Protocol):
    """Makes the slot pool of one backend."""

    def __call__(self, live: BackendLive, *, clock: Clock) -> SlotPool: ...


class Fleet:
    """Every provider in service by backend name."""

    def __init__(
        self,
        board: LiveBoard,
        clock: Clock,
        *,
        make: Callable[[BackendSettings], Provider] | None = None,
        make_slots: MakeSlots = SlotPool,
    ) -> None:
        self._board = board
        self._clock = clock
        self.make = make or make_provider
        self._make_slots = make_slots
        self._serving: dict[str, tuple[BackendSettings, Provider]] = {}
        self._retired: list[Provider] = []
        self._slots: dict[str, SlotPool] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._employed: dict[str, list[tuple[Provider, weakref.ref[Target]]]] = {}  # by backend name

    @property
    def providers(self) -> Mapping[str, Provider]:
        """By backend name."""
        return {name: provider for name, (_, provider) in self._serving.items()}

    def slots(self, backend: BackendSettings) -> SlotPool | None:
        """The slot pool of a backend with limited slots; the same one as long as the process runs."""
        if slots_of(backend) is None:
            return None
        return self._slots.setdefault(
            backend.name, self._make_slots(self._board.backend(backend.name), clock=self._clock)
        )

    def employ(self, backend: str, target: Target) -> None:
        """Remember that requests may be sent through this target: its provider is not closed while one of them has it."""
        provider = self._serving[backend][1]
        known = [(its, ref) for its, ref in self._employed.get(backend, ()) if ref() is not None]
        self._employed[backend] = [*known, (provider, weakref.ref(target))]

    def put_in_service(self, backends: Sequence[BackendSettings], on_started: Callable[[str], None]) -> None:
        """From now on these: new and changed ones are made and started, the others stay, those left over retire.

        `on_started` is called with a backend's name when what it had to start is up. Raises ConfigErrors, and then changes
        nothing, when one of them cannot be made.
        """
        before = self._serving
        made = self._made([backend for backend in backends if not self._serves(backend)])
        self._serving = {
            backend.name: (backend, made[backend.name] if backend.name in made else before[backend.name][1])
            for backend in backends
        }
        for name, (_, provider) in before.items():
            if name in made or name not in self._serving:
                self._retired.append(provider)
        for name, provider in made.items():
            if self._serving[name][0].enabled:
                self._later(_start(provider, on_started))

    def let_go(self) -> None:
        """Close the retired ones as soon as nothing is under way there: nobody is sent to them any more."""
        for provider in self._retired:
            self._later(self._drain(provider))
        self._retired.clear()

    def grant_slots(self) -> None:
        """Let waiting requests in where a new configuration has more slots."""
        for pool in self._slots.values():
            pool.grant()

    async def close(self) -> None:
        """Close every provider now."""
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for provider in (*self._retired, *(provider for _, provider in self._serving.values())):
            await provider.close()

    def _serves(self, backend: BackendSettings) -> bool:
        known = self._serving.get(backend.name)
        return known is not None and known[0] == backend

    def _made(self, backends: Sequence[BackendSettings]) -> dict[str, Provider]:
        made: dict[str, Provider] = {}
        errors = []
        for backend in backends:
            try:
                made[backend.name] = self.make(backend)
            except ValueError as wrong:  # what the HTTP client refuses: in its own words, which hold no key
                errors.append(ConfigError(f"backends: {backend.name}", None, f"{wrong}."))
        if errors:
            raise ConfigErrors(errors)
        return made

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _drain(self, provider: Provider) -> None:
        deadline = self._clock.monotonic() + _DRAIN_SECONDS
        live = self._board.backend(provider.name)
        try:
            while self._clock.monotonic() < deadline:
                # What is in flight is counted by name, so the requests at whoever came in its place are counted too.
                if not live.in_flight or not self._is_employed(provider):
                    break
                await asyncio.sleep(0.5)
        finally:
            await provider.close()

    def _is_employed(self, provider: Provider) -> bool:
        """Whether anything can still be sent to it, or is under way there."""
        known = self._employed.get(provider.name, ())
        return any(its is provider and ref() is not None for its, ref in known)


async def _start(provider: Provider, on_started: Callable[[str], None]) -> None:
    await provider.start()
    on_started(provider.name)


def slots_of(backend: BackendSettings) -> int | None:
    """How many requests the backend may have at once: as configured; one for Ollama, two for llama.cpp, else unlimited."""
    if backend.slots is not None:
        return backend.slots
    match VENDORS[backend.provider].family:
        case Family.OLLAMA:
            return _environment_slots()
        case Family.LLAMA_CPP:
            return _LLAMA_SLOTS
        case _:
            return None


def key_hint(backend: BackendSettings) -> str:
    """Where an operator looks when the backend refuses its key: the field, and the variable where its provider has one."""
    variable = VENDORS[backend.provider].key_variable
    field = f"backends: {backend.name}: api_key"
    hint = f"{field}, or {variable}" if variable is not None else field
    return hint if backend.api_key is not None else f"{hint} (there is none)"


def make_provider(backend: BackendSettings) -> Provider:
    """The provider object of one backend."""
    vendor = VENDORS[backend.provider]
    match vendor.family:
        case Family.LLAMA_CPP:
            return LlamaCpp(backend.name, _models(backend))
        case Family.FAKE:
            return Fake(backend.name, tuple(backend.models or ("fake-model",)))
        case Family.OLLAMA:
            return Ollama(_address(backend))
        case Family.ANTHROPIC:
            return Anthropic(_address(backend))
        case Family.OPENAI:
            return OpenAICompatible(_address(backend))


def _address(backend: BackendSettings) -> Address:
    vendor = VENDORS[backend.provider]
    headers: tuple[tuple[str, str], ...] = ()
    if backend.api_key is not None:
        key = backend.api_key.reveal()
        is_anthropic = vendor.family is Family.ANTHROPIC
        headers = (("x-api-key", key) if is_anthropic else ("authorization", f"Bearer {key}"),)
    origin = Origin.parse(backend.url or vendor.url or "")
    if vendor.family is Family.ANTHROPIC and not origin.base_path:
        origin = replace(origin, base_path="/v1")
    return Address(
        name=backend.name,
        origin=origin,
        headers=headers,
        proxy=None if _is_local(backend) else _proxy(origin),
        headers_come_early=vendor.headers_come_early,
    )


def _is_local(backend: BackendSettings) -> bool:
    """Whether it is on the premises; then no proxy, which may be beyond them, learns of what is asked there, and when."""
    declared = None if backend.locality is None else Locality(backend.locality)
    return (declared or VENDORS[backend.provider].locality) is Locality.LOCAL


def _proxy(origin: Origin) -> Origin | None:
    """HTTPS_PROXY, for https upstreams that NO_PROXY does not name."""
    if origin.scheme != "https":
        return None
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if not proxy or _exempt(origin.host, os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""):
        return None
    try:
        return Origin.parse(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError as wrong:
        raise ValueError(f"HTTPS_PROXY: {wrong}") from None


def _exempt(host: str, no_proxy: str) -> bool:
    names = [name.strip().lstrip(".").lower() for name in no_proxy.split(",") if name.strip()]
    return any(name == "*" or host.lower() == name or host.lower().endswith(f".{name}") for name in names)


def _models(backend: BackendSettings) -> list[Model]:
    if backend.name == BUILTIN:
        return [
            builtin.model(Path(path), slots=slots_of(backend) or _LLAMA_SLOTS)
            for path in (backend.models or {}).values()
        ]
    return [
        Model(name=name, path=Path(path).expanduser(), slots=slots_of(backend) or _LLAMA_SLOTS)
        for name, path in (backend.models or {}).items()
    ]


def _environment_slots() -> int:
    value = os.environ.get("OLLAMA_NUM_PARALLEL", "")
    return int(value) if value.isdecimal() and int(value) else 1
