"""From configured backends and what their probes found to deployments: names, locality, abilities, prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.catalog.names import is_usable, says_cloud, upstream_identity
from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.money import FREE
from junto.core.sensitivity import Locality
from junto.ports.provider import FoundModel
from junto.routing.facts import DeploymentFacts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from junto.catalog.board import LiveBoard
    from junto.catalog.model import BackendSpec
    from junto.catalog.prices import DatedPrice, PriceTable
    from junto.ports.provider import Probe

MOST_FOUND = 2_000  # models of one backend; a list longer than this is cut, since upstreams are not trusted


def deployments_of(
    backend: BackendSpec, probe: Probe | None, board: LiveBoard, prices: PriceTable, on: dt.date
) -> Iterator[DeploymentFacts]:
    """Every model of one backend: the configured ones even before any probe, else the found ones."""
    backend_live = board.backend(backend.name)
    backend_live.slots = backend.slots
    listed = _by_identity(probe)
    for model, upstream in _names(backend, probe):
        found = listed.get(upstream_identity(upstream))
        locality = locality_of(backend, upstream, found)
        dated = _price(backend, upstream, locality, prices, on)
        capabilities = _capabilities(found, dated)
        yield DeploymentFacts(
            backend=backend.name,
            model=model,
            upstream_model=_as_listed(backend, upstream, found),
            provider=backend.provider,
            locality=locality,
            operations=backend.operations & _operations(capabilities),
            capabilities=capabilities,
            context_length=_context_length(found, dated),
            price=dated.price if dated else FREE,
            price_date=dated.since.isoformat() if dated else "",
            priority=backend.priority,
            enabled=backend.enabled,
            live=board.deployment(f"{backend.name}/{model}"),
            backend_live=backend_live,
        )


def locality_of(backend: BackendSpec, upstream: str, found: FoundModel | None) -> Locality:
    """Where content sent to this model ends up.

    What the backend or the name itself says of being remote wins over everything; then the operator's word; then the
    provider's default. Where a backend attests, that default is believed only of models it has listed: a model nobody
    has vouched for yet is cloud.
    """
    if found is not None and found.locality is Locality.CLOUD:
        return Locality.CLOUD
    if backend.attests and says_cloud(upstream):
        return Locality.CLOUD
    if backend.locality is not None:
        return backend.locality
    if backend.attests and found is None:
        return Locality.CLOUD
    return backend.default_locality


def _as_listed(backend: BackendSpec, upstream: str, found: FoundModel | None) -> str:
    """The name as the backend itself writes it where it reads several spellings as one, so that its reports are understood."""
    return found.name if backend.attests and found is not None else upstream


def unattested_models(backend: BackendSpec, probe: Probe | None) -> Iterator[str]:
    """A sentence for each configured model that counts as cloud only because its backend does not list it."""
    believed = backend.attests and backend.locality is None and backend.default_locality is Locality.LOCAL
    if backend.models is None or probe is None or not believed:
        return
    listed = _by_identity(probe)
    for model, upstream in backend.models.items():
        if upstream_identity(upstream) not in listed and not says_cloud(upstream):
            yield (
                f"{backend.name}/{model} counts as cloud until {backend.name} lists {upstream!r};"
                " if it is there under another name, declare `locality: local` for the backend."
            )


def _names(backend: BackendSpec, probe: Probe | None) -> Iterator[tuple[str, str]]:
    """Public and upstream name of each model."""
    if backend.models is not None:
        yield from backend.models.items()
    elif probe is not None:
        names = dict.fromkeys(model.name for model in probe.models[:MOST_FOUND] if is_usable(model.name))
        yield from ((name, name) for name in names)


def _by_identity(probe: Probe | None) -> dict[str, FoundModel]:
    """The found models by name; of two spellings of one name the remote one counts."""
    listed: dict[str, FoundModel] = {}
    for model in probe.models if probe else ():
        identity = upstream_identity(model.name)
        if identity not in listed or model.locality is Locality.CLOUD:
            listed[identity] = model
    return listed


def _price(
    backend: BackendSpec, upstream: str, locality: Locality, prices: PriceTable, on: dt.date
) -> DatedPrice | None:
    """A local model costs nothing unless the operator prices this backend, or a provider that is local by nature."""
    by_provider = locality is Locality.CLOUD or backend.default_locality is Locality.LOCAL
    return prices.lookup(backend.provider if by_provider else "", upstream, on, backend=backend.name)


def _capabilities(found: FoundModel | None, dated: DatedPrice | None) -> Capability | None:
    if found is not None and found.capabilities is not None:
        return found.capabilities
    return dated.capabilities if dated else None


def _context_length(found: FoundModel | None, dated: DatedPrice | None) -> int | None:
    if found is not None and found.context_length is not None:
        return found.context_length
    return dated.context if dated else None


def _operations(capabilities: Capability | None) -> frozenset[Operation]:
    if capabilities is None:
        return frozenset({Operation.CHAT, Operation.EMBED})
    able = {Operation.CHAT: Capability.CHAT, Operation.EMBED: Capability.EMBEDDINGS}
    return frozenset(operation for operation, needed in able.items() if needed in capabilities)
