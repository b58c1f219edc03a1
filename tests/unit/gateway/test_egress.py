"""The one gate: who may see what, and that the proof of it can be neither made, changed, kept nor passed on."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from junto.core.errors import Forbidden, NotServable
from junto.core.sensitivity import Locality, Sensitivity
from junto.gateway import egress
from junto.gateway.egress import Clearance, clear, demand
from junto.routing.facts import BackendLive, DeploymentFacts, Live

PUBLIC, INTERNAL, CONFIDENTIAL = Sensitivity


def deployment(locality: Any) -> DeploymentFacts:
    return DeploymentFacts(
        backend="desk",
        model="m",
        upstream_model="up",
        provider="ollama",
        locality=locality,
        live=Live(),
        backend_live=BackendLive(),
    )


@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("tier", [PUBLIC, INTERNAL, CONFIDENTIAL, None])
def test_a_local_deployment_may_see_everything(tier: Sensitivity | None, *, allow: bool) -> None:
    clearance = clear(tier, deployment(Locality.LOCAL), allow_cloud_for_internal=allow)
    assert clearance.tier is (CONFIDENTIAL if tier is None else tier)
    assert clearance.must_stay is (tier in {CONFIDENTIAL, None} or (tier is INTERNAL and not allow))


@pytest.mark.parametrize("locality", [Locality.CLOUD, "somewhere", None])
@pytest.mark.parametrize(
    ("tier", "allow", "passes"),
    [
        (PUBLIC, False, True),
        (PUBLIC, True, True),
        (INTERNAL, True, True),
        (INTERNAL, False, False),
        (CONFIDENTIAL, False, False),
        (CONFIDENTIAL, True, False),
        (None, True, False),
    ],
)
def test_what_is_not_plainly_local_sees_what_may_leave(
    locality: Any, tier: Sensitivity | None, *, allow: bool, passes: bool
) -> None:
    """A tier that nobody knows is confidential, and a locality that nobody knows is not local."""
    if passes:
        assert not clear(tier, deployment(locality), allow_cloud_for_internal=allow).must_stay
    else:
        with pytest.raises(NotServable):
            clear(tier, deployment(locality), allow_cloud_for_internal=allow)


def test_a_proof_is_good_for_one_send_to_one_model_of_one_backend() -> None:
    for backend, model in (("desk", "other"), ("rack", "up"), ("rack", "other")):
        clearance = clear(PUBLIC, deployment(Locality.CLOUD), allow_cloud_for_internal=False)
        with pytest.raises(Forbidden):
            demand(clearance, backend, model)
    demand(clearance, "desk", "up")
    with pytest.raises(Forbidden):
        demand(clearance, "desk", "up")


class Alike(SimpleNamespace):
    """Has all that a clearance has."""

    def spend(self, backend: str, upstream_model: str) -> None:
        """Agree to everything."""


class Sub(Clearance):  # type: ignore[misc]  # that it is final is what is tested
    """Is a clearance, as far as isinstance goes."""

    def spend(self, backend: str, upstream_model: str) -> None:
        """Agree to everything."""


@pytest.mark.parametrize(
    "forged",
    [
        None,
        True,
        object(),
        Alike(tier=PUBLIC, must_stay=False),
        Sub.__new__(Sub),
    ],
    ids=["nothing", "true", "an object", "something alike", "a subclass"],
)
def test_a_provider_accepts_nothing_but_a_genuine_proof(forged: object) -> None:
    with pytest.raises(Forbidden):
        demand(forged, "desk", "up")


@pytest.mark.parametrize("seal", [None, object(), "seal", 0])
def test_nobody_else_can_make_one(seal: object) -> None:
    with pytest.raises(Forbidden):
        Clearance(seal, tier=PUBLIC, must_stay=False, backend="desk", upstream_model="up")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_proof_cannot_be_copied(copied: Any) -> None:
    """A copy of an unspent one would be a second send."""
    with pytest.raises(Forbidden):
        copied(clear(PUBLIC, deployment(Locality.CLOUD), allow_cloud_for_internal=False))


def test_the_seal_is_nowhere_to_be_had_but_in_its_module() -> None:
    assert egress.__dict__["_SEAL"] is not None
    clearance = clear(PUBLIC, deployment(Locality.CLOUD), allow_cloud_for_internal=False)
    assert all(getattr(clearance, name) is not egress.__dict__["_SEAL"] for name in Clearance.__slots__)
