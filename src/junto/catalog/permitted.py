"""Which names a caller's key may use at all: for lists, which should not offer what would be refused. Pure.

Goes by what does not change with a request: the client's floor, whether its content may go to the cloud, its list of models,
and the floor of a task's route. The plan of a request decides again, with everything that it knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.sensitivity import Sensitivity
from junto.routing.filters import allowed_models, sensitivity
from junto.routing.route_table import apply, opened

if TYPE_CHECKING:
    from junto.catalog.model import Resolution
    from junto.routing.facts import Traits
    from junto.routing.route_table import RouteTable


def is_permitted(resolution: Resolution, traits: Traits, table: RouteTable) -> bool:
    """Whether some deployment behind that name may answer a caller with these traits.

    What the operator let in everywhere, and what has no deployment now, is nobody's to hide; `traits.sensitivity` is the floor.
    """
    if traits.allowed_models is None and traits.sensitivity is Sensitivity.PUBLIC:
        return True
    stages = resolution.stages
    routed = apply(table, resolution.name, "")
    if routed is not None:
        floor = traits.sensitivity if routed.floor is None else max(routed.floor, traits.sensitivity)
        traits = msgspec.structs.replace(traits, sensitivity=floor)
        if traits.allowed_models is not None:
            wider = opened(traits.allowed_models, resolution.name, routed, (stage.name for stage in stages))
            traits = msgspec.structs.replace(traits, allowed_models=wider)
    behind = [(each, stage.name) for stage in stages for each in stage.candidates]
    if not behind:
        return traits.allowed_models is None or resolution.name in traits.allowed_models
    return any(
        sensitivity(each, traits, name, 0.0) is None and allowed_models(each, traits, name, 0.0) is None
        for each, name in behind
    )
