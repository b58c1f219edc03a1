"""The provider for Ollama's native API, the one wire in which nothing of Ollama's is lost.

Owns attestation: a tag that another machine answers for is reported as cloud, and before content is sent that must
stay on the premises the server is asked once more, because a tag can be replaced between two heartbeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, NotServable, UpstreamFailure
from junto.core.sensitivity import Locality
from junto.dialects import ollama
from junto.dialects.ollama import catalog
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply, Resident
from junto.providers.connection import LOAD_DEADLINES, Address, Connection

if TYPE_CHECKING:
    from junto.dialects.ollama.catalog import Shown, Tag

WIRES = (ollama.CHAT, ollama.EMBED, ollama.GENERATE, ollama.EMBEDDINGS)
_MOST_SHOWN = 500  # models asked for in detail; a longer list is shown without details


class Ollama:
    """One Ollama server."""

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._connection = Connection(address, WIRES)
        self._shown: dict[tuple[str, str], Shown] = {}

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        if clearance.must_stay:
            await self._attest(call.model)
        return await self._connection.open(clearance, call)

    async def probe(self) -> Probe:
        ask = self._connection.ask
        version = catalog.parse_version(await ask("GET", "/api/version"))
        tags = catalog.parse_tags(await ask("GET", "/api/tags"))
        running = catalog.parse_ps(await ask("GET", "/api/ps"))
        models = [await self._describe(tag) for tag in tags]
        self._forget(tags)
        return Probe(
            models=tuple(models),
            residents=tuple(
                Resident(
                    name=each.name,
                    size_bytes=each.size,
                    vram_bytes=each.size_vram,
                    expires_at=each.expires_at,
                    context_length=each.context_length,
                )
                for each in running
            ),
            version=version,
        )

    async def load(self, model: str) -> None:
        payload = {"model": model, "stream": False}
        await self._connection.ask("POST", "/api/generate", payload, deadlines=LOAD_DEADLINES)

    async def unload(self, model: str) -> None:
        payload = {"model": model, "keep_alive": 0, "stream": False}
        await self._connection.ask("POST", "/api/generate", payload, deadlines=LOAD_DEADLINES)

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        await self._connection.close()

    async def _describe(self, tag: Tag) -> FoundModel:
        shown = await self._show(tag)
        details = tag.details or catalog.Details()
        remote = catalog.attested_locality(tag) or (catalog.shown_locality(shown) if shown else None)
        names = shown.capabilities if shown is not None and shown.capabilities is not None else tag.capabilities
        return FoundModel(
            name=tag.name,
            locality=remote,
            capabilities=catalog.capability_of(names),
            context_length=(shown.context_length if shown is not None else None) or tag.context_length,
            size_bytes=tag.size,
            family=details.family,
            parameter_size=details.parameter_size,
            quantization=details.quantization_level,
            digest=tag.digest,
            modified_at=tag.modified_at,
        )

    async def _show(self, tag: Tag) -> Shown | None:
        """The details of a tag, asked for once per digest; None where the server does not tell."""
        key = (tag.name, tag.digest)
        known = self._shown.get(key)
        if known is not None or len(self._shown) >= _MOST_SHOWN:
            return known
        try:
            shown = catalog.parse_show(await self._connection.ask("POST", "/api/show", {"model": tag.name}))
        except UpstreamFailure as failure:
            if failure.kind is FailureKind.MODEL_MISSING or failure.kind is FailureKind.REJECTED:
                return None
            raise
        self._shown[key] = shown
        return shown

    def _forget(self, tags: tuple[Tag, ...]) -> None:
        present = {(tag.name, tag.digest) for tag in tags}
        for key in self._shown.keys() - present:
            del self._shown[key]

    async def _attest(self, model: str) -> None:
        """Ask the server where this model runs, now; refuses what is remote, whatever was known before."""
        shown = catalog.parse_show(await self._connection.ask("POST", "/api/show", {"model": model}))
        if catalog.shown_locality(shown) is Locality.CLOUD:
            raise NotServable(
                "This content may not leave local models.",
                reasons=[f"{self.name}/{model}: the server says that another machine answers for it"],
            )
