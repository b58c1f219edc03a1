"""What a catalog is made from, and what a name resolves to. Values only; build.py makes the one from the other."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from junto.core.chat import Operation
from junto.core.sensitivity import Locality
from junto.ports.provider import Deadlines
from junto.routing.facts import Policy, Stage, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.catalog.prices import PriceTable


class BackendSpec(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One backend as configured.

    `locality` is what the operator declared (None: nothing), `default_locality` what its provider is otherwise.
    `models` maps public names to the backend's own (None: discovered). `slots` None means unlimited. `attests` says that the
    backend's model list tells which of its models are remote (Ollama): there, local is believed only once it is listed.
    `operations` are those that its provider knows at all.
    """

    name: str
    provider: str
    locality: Locality | None = None
    default_locality: Locality = Locality.CLOUD
    models: Mapping[str, str] | None = None
    priority: int = 100
    slots: int | None = None
    enabled: bool = True
    deadlines: Deadlines = Deadlines()
    attests: bool = False
    operations: frozenset[Operation] = frozenset(Operation)


class MemberSpec(msgspec.Struct, frozen=True):
    """One member of a group: a model's public name, or a pinned `backend/model`."""

    ref: str
    weight: int = 1


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A group as configured; `strategy` None is the operator's default, `fallback` any name."""

    members: tuple[MemberSpec, ...]
    strategy: Strategy | None = None
    fallback: str | None = None


class CatalogSpec(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """All that the operator configured about models. Without `groups`, `fast` and `quality` are made."""

    backends: tuple[BackendSpec, ...]
    prices: PriceTable
    groups: Mapping[str, GroupSpec] = {}
    fallbacks: Mapping[str, tuple[str, ...]] = {}
    strategy: Strategy = Strategy.SMART
    policy: Policy = Policy()
    councils: tuple[str, ...] = ()  # names of templates


class Kind(StrEnum):
    """What a name names."""

    MODEL = "model"
    GROUP = "group"
    PINNED = "pinned"
    TASK = "task"
    COUNCIL = "council"
    AGENT = "agent"


class Resolution(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A name and where it may be answered: its own deployments first, then each fallback, no name twice.

    A stage may be empty: a configured member that no backend has yet.
    """

    name: str
    kind: Kind
    stages: tuple[Stage, ...]
