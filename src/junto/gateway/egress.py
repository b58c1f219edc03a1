"""The only way out: content leaves the process with a clearance or not at all.

`clear` checks the exchange's tier against one deployment at the last moment before a provider sends, and mints the
Clearance that `Provider.open` demands. Routing has filtered by the same rule before; this does not trust it. Nothing else
can make a Clearance: the constructor wants a seal that lives in this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from junto.core.errors import Forbidden, NotServable
from junto.core.sensitivity import Locality, Sensitivity

if TYPE_CHECKING:
    from junto.routing.facts import DeploymentFacts

_SEAL: Final = object()


@final
class Clearance:
    """Proof of one passed check, good for one send to one model of one backend.

    `must_stay` says that the content may be seen on the premises only: what a provider attests at the last moment.
    """

    __slots__ = ("_backend", "_spent", "_upstream_model", "must_stay", "tier")

    # By position, which is half as dear: one is made for every attempt.
    def __init__(self, seal: object, tier: Sensitivity, must_stay: bool, backend: str, upstream_model: str) -> None:  # noqa: FBT001
        if seal is not _SEAL:
            raise Forbidden("a clearance is minted by egress.clear alone")
        self.tier = tier
        self.must_stay = must_stay
        self._backend = backend
        self._upstream_model = upstream_model
        self._spent = False

    def spend(self, backend: str, upstream_model: str) -> None:
        """Use the proof up; raises Forbidden if it was made for something else or was used before."""
        if self._spent or backend != self._backend or upstream_model != self._upstream_model:
            raise Forbidden("this clearance does not cover this request")
        self._spent = True

    def __reduce__(self) -> str:
        raise Forbidden("a clearance cannot be copied")  # a copy of an unspent one would be a second send


def clear(tier: Sensitivity | None, deployment: DeploymentFacts, *, allow_cloud_for_internal: bool) -> Clearance:
    """Check the tier against the deployment and mint the proof; an unknown tier counts as confidential."""
    effective = Sensitivity.CONFIDENTIAL if tier is None else tier
    must_stay = not (
        effective is Sensitivity.PUBLIC or (effective is Sensitivity.INTERNAL and allow_cloud_for_internal)
    )
    if must_stay and deployment.locality is not Locality.LOCAL:
        raise NotServable(
            "This content may not leave local models.",
            reasons=[f"{deployment.key}: {effective.label} content does not go to {deployment.locality}"],
        )
    return Clearance(_SEAL, effective, must_stay, deployment.backend, deployment.upstream_model)


def demand(clearance: object, backend: str, upstream_model: str) -> None:
    """What a provider calls first: accepts nothing but a genuine, unspent clearance for this very request."""
    if type(clearance) is not Clearance:
        raise Forbidden("no clearance")
    clearance.spend(backend, upstream_model)
