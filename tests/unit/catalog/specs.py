"""Short ways to write down catalogs in tests."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from junto.catalog.board import LiveBoard
from junto.catalog.build import build
from junto.catalog.model import BackendSpec, CatalogSpec, GroupSpec, MemberSpec
from junto.catalog.prices import PriceTable
from junto.core.sensitivity import Locality
from junto.ports.provider import FoundModel, Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot

TODAY = dt.date(2026, 11, 21)


def ollama(
    name: str = "desk",
    *,
    models: Mapping[str, str] | None = None,
    locality: Locality | None = None,
    slots: int | None = 1,
) -> BackendSpec:
    """An Ollama server: local by nature, and its model list tells what is remote."""
    return BackendSpec(
        name=name,
        provider="ollama",
        default_locality=Locality.LOCAL,
        locality=locality,
        attests=True,
        models=models,
        slots=slots,
    )


def cloud(name: str, *models: str, provider: str = "openai", locality: Locality | None = None) -> BackendSpec:
    """A cloud account with these models; with none, they are discovered."""
    return BackendSpec(
        name=name, provider=provider, locality=locality, models={model: model for model in models} or None
    )


def probe(*models: str | FoundModel) -> Probe:
    """What a backend that has these models says."""
    return Probe(models=tuple(FoundModel(name=one) if isinstance(one, str) else one for one in models))


def group(*members: str | tuple[str, int], fallback: str | None = None) -> GroupSpec:
    """A group of members, each a name or a name with its weight."""
    pairs = [(one, 1) if isinstance(one, str) else one for one in members]
    return GroupSpec(members=tuple(MemberSpec(ref, weight) for ref, weight in pairs), fallback=fallback)


def snapshot(
    *backends: BackendSpec,
    found: Mapping[str, Probe] | None = None,
    groups: Mapping[str, GroupSpec] | None = None,
    fallbacks: Mapping[str, tuple[str, ...]] | None = None,
    prices: str = "",
    board: LiveBoard | None = None,
) -> Snapshot:
    """The catalog of these, on one fixed day."""
    spec = CatalogSpec(
        backends=backends, groups=groups or {}, fallbacks=fallbacks or {}, prices=PriceTable.parse(prices)
    )
    return build(spec, found or {}, board or LiveBoard(), 1, on=TODAY)


def stages(resolution: Resolution) -> list[tuple[str, list[str]]]:
    """Each stage's name with the keys of its candidates."""
    return [(stage.name, [one.key for one in stage.candidates]) for stage in resolution.stages]
