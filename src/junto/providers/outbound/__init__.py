"""The way to addresses that users name: parsed once, resolved once, checked, and called at exactly the address that was checked."""

from junto.providers.outbound.guard import Guard, Resolve, system_resolve
from junto.providers.outbound.on_demand import DelivererOnDemand
from junto.providers.outbound.ranges import Allowed

__all__ = ["Allowed", "DelivererOnDemand", "Guard", "Resolve", "system_resolve"]
