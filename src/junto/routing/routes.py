"""A route: the operator's rule for one task type, as a value, and the document that it is stored and shown as.

Owns the fields and what they mean. Bounds of what a person may write are the edge's; which route applies is route_table.py's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.chat import Sampling
from junto.core.errors import InvalidField
from junto.core.money import nano_from_usd, usd_from_nano
from junto.core.sensitivity import Sensitivity, parse_sensitivity
from junto.routing.evidence import Canary, EvidenceGate, canary_document, canary_from, gate_document, gate_from

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TASK: Final = "default"  # the route of this name serves every task type that has none
AUTO: Final = "auto"
TASK_PREFIX: Final = "task/"

_TASK_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LATEST = ":latest"
_SAMPLED = tuple(name for name in Sampling.__struct_fields__ if name != "max_tokens")


class ShadowModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers a share of the requests (`rate`, above 0 and at most 1) beside the one that is meant to."""

    model: str
    rate: float
    daily_cap_nano: int | None = None  # nano-dollars a day; None: no cap


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Which model does a task type, how sensitive its content is at least, and how it is sampled.

    `max_tokens` is what an answer gets where the request says nothing, and the most where it says more; `sampling` holds
    only defaults (its own `max_tokens` is not used). `evidence` None: the gate as it is usually. `version` is 0 for a route that
    is not stored.
    """

    task_type: str
    preferred_model: str
    fallback_model: str | None = None
    sensitivity: Sensitivity = Sensitivity.CONFIDENTIAL
    max_tokens: int | None = None
    sampling: Sampling | None = None
    shadow_models: tuple[ShadowModel, ...] = ()
    evidence: EvidenceGate | None = None
    canary: Canary | None = None
    notes: str = ""
    version: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that the route names, each once."""
        fallback = () if self.fallback_model is None else (self.fallback_model,)
        canary = () if self.canary is None else (self.canary.model,)
        shadows = (one.model for one in self.shadow_models)
        return tuple(dict.fromkeys((self.preferred_model, *fallback, *canary, *shadows)))

    @property
    def gate(self) -> EvidenceGate:
        """What a candidate must clear."""
        return EvidenceGate() if self.evidence is None else self.evidence


def check_task_type(name: str, *, param: str = "task_type") -> str:
    """The name if it may name a task type, a file and a model at once; raises InvalidField."""
    if not _TASK_TYPE.fullmatch(name):
        raise InvalidField("A task type is 1 to 100 letters, digits, dots, dashes or underscores.", param=param)
    return name


def check_route(route: Route) -> Route:
    """The route if it names models and not tasks, which would lead in circles; raises InvalidField."""
    check_task_type(route.task_type)
    if task_of(route.preferred_model) is not None:
        raise InvalidField("A route leads to a model or a group, not to a task.", param="preferred_model")
    if route.fallback_model is not None and task_of(route.fallback_model) is not None:
        raise InvalidField("A route leads to a model or a group, not to a task.", param="fallback_model")
    if route.canary is not None and task_of(route.canary.model) is not None:
        raise InvalidField("A canary is a model or a group, not a task.", param="canary")
    if route.canary is not None and route.canary.model == route.preferred_model:
        raise InvalidField("A canary is another model than the preferred one.", param="canary")
    if any(task_of(shadow.model) is not None for shadow in route.shadow_models):
        raise InvalidField("A shadow is a model or a group, not a task.", param="shadow_models")
    if len({shadow.model for shadow in route.shadow_models}) < len(route.shadow_models):
        raise InvalidField("A model is named twice among the shadows.", param="shadow_models")
    return route


def task_of(model: str) -> str | None:
    """The task type that a model's name names: "" for `auto`, which leaves it open; None for the name of a model."""
    if model.startswith(TASK_PREFIX):
        return model[len(TASK_PREFIX) :].removesuffix(_LATEST)
    return "" if model in {AUTO, AUTO + _LATEST} else None


def document_of(route: Route) -> dict[str, Any]:
    """The route as JSON values, without its task type and version: as it is stored, shown, and written by a person."""
    sampling = route.sampling
    sampled = {} if sampling is None else {name: getattr(sampling, name) for name in _SAMPLED}
    return {
        "preferred_model": route.preferred_model,
        "fallback_model": route.fallback_model,
        "sensitivity": route.sensitivity.label,
        "max_tokens": route.max_tokens,
        "sampling": {name: value for name, value in sampled.items() if value not in {None, ()}} or None,
        "shadow_models": [_shadow_document(shadow) for shadow in route.shadow_models],
        "evidence": gate_document(route.evidence),
        "canary": canary_document(route.canary),
        "notes": route.notes,
    }


def route_from(task_type: str, document: Mapping[str, Any], *, version: int = 0) -> Route:
    """The route in a document whose types were checked; fields that this Junto does not know are passed over."""
    sampling = document.get("sampling") or {}
    known = {name: sampling[name] for name in _SAMPLED if sampling.get(name) is not None}
    if "stop" in known:
        known["stop"] = tuple(known["stop"])
    return Route(
        task_type=task_type,
        preferred_model=document["preferred_model"],
        fallback_model=document.get("fallback_model"),
        sensitivity=parse_sensitivity(document.get("sensitivity", Sensitivity.CONFIDENTIAL.label)),
        max_tokens=document.get("max_tokens"),
        sampling=Sampling(**known) if known else None,
        shadow_models=tuple(_shadow_from(shadow) for shadow in document.get("shadow_models") or ()),
        evidence=gate_from(document.get("evidence")),
        canary=canary_from(document.get("canary")),
        notes=document.get("notes") or "",
        version=version,
    )


def _shadow_document(shadow: ShadowModel) -> dict[str, Any]:
    cap = shadow.daily_cap_nano
    return {
        "model": shadow.model,
        "rate": shadow.rate,
        "daily_cost_cap_usd": None if cap is None else usd_from_nano(cap),
    }


def _shadow_from(document: Mapping[str, Any]) -> ShadowModel:
    cap = document.get("daily_cost_cap_usd")
    return ShadowModel(
        model=document["model"], rate=document["rate"], daily_cap_nano=None if cap is None else nano_from_usd(cap)
    )
