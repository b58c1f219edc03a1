"""The floor, from outside: thousands of random configurations, and not one contact beyond the premises with what must stay.

An audit hook hears every connect and every look-up; what it cannot hear (a connection that is open already), the upstreams
see: each request carries a canary. The same run proves that both would notice, with requests that may leave.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from junto.bootstrap.build import Services, build
from junto.bootstrap.known import known_providers
from junto.core.chat import Operation
from junto.core.document import ConfigErrors
from junto.core.errors import JuntoError, NotServable
from junto.dialects import openai
from junto.ports.replays import Purpose, Replay
from junto.settings.load import parse
from junto.settings.model import ServeOptions, Settings
from junto.web.wires import INFERENCE
from tests.chaos.floor.calling import PATHS, ask, marked, random_body, random_name
from tests.chaos.floor.configurations import Configuration, World, random_configuration
from tests.chaos.floor.sinks import Sink, Tag
from tests.chaos.floor.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

CONFIGURATIONS = 2000
KEPT_EACH = 3
REPLAYED_EVERY = 10
REPLAYED = {
    path: wire.name
    for path, wire in INFERENCE.items()
    if wire.operation is Operation.CHAT and wire is not openai.COUNCIL
}
PROXY = "http://127.0.0.9:3128"  # an https upstream may be reached through it, one on the premises may not


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of backends that are down are not worth a line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    local = [Sink(host="127.0.0.1") for _ in range(3)]
    ollama = [Sink(host="127.0.0.1") for _ in range(2)]
    # Clouds on this machine too: an address on loopback makes nothing local that nobody declared local.
    cloud = [Sink(host="127.0.0.2"), Sink(host="127.0.0.3"), Sink(host="127.0.0.1")]
    gone = Sink(host="127.0.0.1")
    async with AsyncExitStack() as stack:
        for sink in (*local, *ollama, *cloud):
            await stack.enter_async_context(await sink.listen())
        server = await gone.listen()
        server.close()
        yield World(local=local, cloud=cloud, ollama=ollama, closed=gone.url)


def settings_of(configuration: Configuration, data_dir: Path) -> Settings:
    """The configuration as it is read from a file."""
    text = msgspec.yaml.encode(configuration.file).decode()
    environ = {"JUNTO_ADMIN_KEY": "jt_a-key-for-tests-only-0123456789", "OLLAMA_HOST": "http://127.0.0.1:9"}
    return parse(text, environ, ServeOptions(data_dir=data_dir), known_providers=known_providers())


class Run:
    """One Junto that is configured anew again and again, and the count of what came of it."""

    def __init__(self, services: Services, world: World, watch: Watch, rng: random.Random) -> None:
        self.services = services
        self.world = world
        self.watch = watch
        self.rng = rng
        self.outcomes: Counter[str] = Counter()
        self.violations: list[str] = []
        self.asked = 0

    async def configure(self, settings: Settings) -> None:
        """Put it in force and probe every backend; a probe carries no content and may go anywhere."""
        operation = self.services.operation
        backends = (*settings.backends, *settings.ollama_candidates)
        operation._apply(settings, operation._prices, backends)  # a reload, without reading the prices again
        await self.services.heartbeats.beat()

    async def try_one(self, number: int, configuration: Configuration, settings: Settings) -> None:
        """Ask what must stay, then what may leave, with the hook listening each time."""
        self.world.forget()
        await self.configure(settings)
        self.retag()
        for sink in self.world.sinks:
            sink.connections = 0
        self.watch.begin()
        replays = [self.replay_kept()] if number % REPLAYED_EVERY == 0 else []
        await asyncio.gather(*replays, *(self.ask_kept(configuration) for _ in range(KEPT_EACH)))
        self.judge(number, self.watch.end())
        self.watch.begin()
        await self.ask_free()
        beyond = self.beyond(self.watch.end())
        self.outcomes["free: contact heard"] += bool(beyond)
        self.outcomes["free: look-up heard"] += any(host.endswith(".invalid") for host, _ in beyond)
        self.outcomes["free: content seen"] += any(tier == "free" for sink in self.world.cloud for tier, _ in sink.seen)
        self.check_nothing_held(number)

    def retag(self) -> None:
        """Between the heartbeat and the request, a tag may come to be answered for elsewhere."""
        for sink in self.world.ollama:
            if self.rng.random() < 0.3:
                name = self.rng.choice(list(sink.tags))
                sink.tags[name] = Tag(name, sink.tags[name].told or self.rng.choice(("show.host", "show.model")))

    async def ask_kept(self, configuration: Configuration) -> None:
        """Confidential by a word of the caller or by default, or internal where this caller may not go to a cloud."""
        tiers = ["confidential"] if configuration.allows_internal else ["confidential", "internal"]
        unsaid = configuration.default in tiers and self.rng.random() < 0.3
        self.outcomes[f"kept: {await self._ask('kept', '' if unsaid else self.rng.choice(tiers))}"] += 1

    async def ask_free(self) -> None:
        """Public, said in the header alone so that nothing raises it."""
        self.outcomes[f"free: {await self._ask('free', 'public')}"] += 1

    async def replay_kept(self) -> None:
        """A shadow, or a judge's question: confidential whatever its client allows, or internal of one that allows nothing."""
        self.asked += 1
        replays, allows = self.services.evals.replays, self.rng.random() < 0.5
        path = self.rng.choice([path for path in PATHS if path in REPLAYED])
        names = list(self.services.operation.current.runtime.snapshot.resolutions)
        said = random_body(self.rng, path, "asked", f"canary-kept-{self.asked}")
        try:
            replay = Replay(
                id=f"req_{self.asked}",
                purpose=self.rng.choice(list(Purpose)),
                wire=REPLAYED[path],
                body=replays.body_for(REPLAYED[path], msgspec.json.encode(said), random_name(self.rng, names)),
                tenant_id="default",
                sensitivity="confidential" if allows else "internal",
                allow_cloud=allows,
                parent_id="req_0",
            )
            foreseen = replays.prospect(replay).refusal
            await replays.run(replay)
        except JuntoError as error:
            self.outcomes[f"replayed: {error.code}"] += 1
        else:
            self.outcomes["replayed"] += 1
            if isinstance(foreseen, NotServable):
                self.violations.append(f"replay {self.asked} was answered, and foreseen as {foreseen}")

    async def _ask(self, kind: str, tier: str) -> str:
        self.asked += 1
        names = list(self.services.operation.current.runtime.snapshot.resolutions)
        path = self.rng.choice(PATHS)
        body = random_body(self.rng, path, random_name(self.rng, names), f"canary-{kind}-{self.asked}")
        if kind == "free":
            headers = {"x-junto-sensitivity": tier}
        else:
            headers = marked(self.rng, path, body, tier) if tier else {}
        status, answer = await ask(self.services.app, path, body, headers)
        if status == 500:
            self.violations.append(f"500 at {path}: {answer[:300]!r}")
        return str(status)

    def beyond(self, contacts: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those contacts that leave the premises."""
        clouds = {(sink.host, sink.port) for sink in self.world.cloud}
        return [contact for contact in contacts if contact[0] != "127.0.0.1" or contact in clouds]

    def judge(self, number: int, contacts: list[tuple[str, int]]) -> None:
        """Nobody beyond was contacted, and no canary was seen where it must not be."""
        beyond = [*self.beyond(contacts), *self.world.leaks()]
        beyond += [(sink.url, sink.connections) for sink in self.world.cloud if sink.connections]
        if beyond:
            self.violations.append(f"configuration {number}: {beyond}")

    def check_nothing_held(self, number: int) -> None:
        """No slot and no count is left behind."""
        for name, backend in self.services.heartbeats.backends.items():
            live = backend.live
            if live.in_flight or live.in_use or live.queued or live.retries_in_flight:
                self.violations.append(f"configuration {number}: {name} still holds {live}")


async def test_what_must_stay_reaches_nobody_beyond_the_premises(
    tmp_path: Path, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 random configurations: 0 forbidden connects, 0 forbidden look-ups, 0 bytes; Ollama's remote tags included."""
    assert type(asyncio.get_running_loop()).__module__.startswith("asyncio")
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    rng = random.Random(20)
    first = settings_of(Configuration(file={"builtin_model": "off"}), tmp_path)
    async with build(first, beat=False, jitter=lambda: 0.0) as services:
        run = Run(services, world, watch, rng)
        number = 0
        while number < CONFIGURATIONS:
            configuration = random_configuration(rng, world, number)
            try:
                settings = settings_of(configuration, tmp_path)
            except ConfigErrors:
                continue  # two names that hide each other, a group that falls back on itself
            await run.try_one(number, configuration, settings)
            number += 1
    assert run.violations == []
    proven(run.outcomes)


def proven(outcomes: Counter[str]) -> None:
    """The run could have failed: plenty was answered on the premises, plenty was refused, and what may leave did."""
    assert outcomes["kept: 200"] > CONFIGURATIONS // 4
    assert outcomes["kept: 403"] > CONFIGURATIONS // 4
    assert outcomes["replayed"] > CONFIGURATIONS // 8 // REPLAYED_EVERY
    assert outcomes["replayed: sensitivity_not_servable"] > CONFIGURATIONS // 8 // REPLAYED_EVERY
    assert outcomes["free: contact heard"] > CONFIGURATIONS // 4
    assert outcomes["free: content seen"] > CONFIGURATIONS // 4
    assert outcomes["free: look-up heard"] > CONFIGURATIONS // 100
