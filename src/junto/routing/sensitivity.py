"""How the tier of one request follows from everything that has a say in it.

Owns the rule only; what each tier permits is routing/filters.py, and the last check is the gateway's egress.
"""

from __future__ import annotations

from junto.core.sensitivity import Sensitivity, strictest


def effective_sensitivity(
    *,
    default: Sensitivity,
    principal_min: Sensitivity = Sensitivity.PUBLIC,
    asked_header: Sensitivity | None = None,
    asked_body: Sensitivity | None = None,
    route_floor: Sensitivity | None = None,
    detected: Sensitivity | None = None,
) -> Sensitivity:
    """The highest of the route's floor, the client's floor, what the request says, and what a detector found.

    The default stands in where no route, no client and no request says anything: a client whose floor is public has said
    nothing. A request that says `public` is believed, as far as the floors let it. A detector may only raise, so it does
    not displace the default.
    """
    floor = principal_min if principal_min is not Sensitivity.PUBLIC else None
    if route_floor is None and asked_header is None and asked_body is None and floor is None:
        return default if detected is None else max(default, detected)
    return strictest(floor, route_floor, asked_header, asked_body, detected)
