"""In which order calls are started that go out together: so that a machine that holds one model at a time swaps once per model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.council.deliberation import Call, Place


def order(calls: Sequence[Call], places: Mapping[str, Place]) -> tuple[Call, ...]:
    """All calls, in the order in which they are to be started; `places` are where they would go, by their keys.

    Those that go elsewhere, or nobody knows where, come first as they stand: they wait for nothing here. Then the local ones, each
    backend's together, grouped by model: what is resident first, then as they stand.
    """
    afar: list[Call] = []
    here: dict[str, dict[str, list[Call]]] = {}
    for call in calls:
        place = places.get(call.key)
        if place is None or not place.is_local:
            afar.append(call)
        else:
            here.setdefault(place.backend, {}).setdefault(place.model, []).append(call)
    for models in here.values():
        for group in sorted(models.values(), key=lambda group: not _is_resident(group, places)):
            afar += group
    return tuple(afar)


def _is_resident(group: Sequence[Call], places: Mapping[str, Place]) -> bool:
    return any(places[call.key].is_resident for call in group)
