"""What the client of a source allows by now: shadows and judges read its content under that, not under what held when it asked."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from junto.core.sensitivity import Sensitivity, parse_sensitivity


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`allow_cloud`: its internal content may go to the cloud. `refused`: it, or its tenant, is disabled."""

    allow_cloud: bool = False
    floor: Sensitivity = Sensitivity.PUBLIC
    refused: bool = False

    def tier(self, recorded: str) -> str:
        """The tier of what was recorded under that one: a floor that was raised since holds, one that was lowered does not."""
        return max(parse_sensitivity(recorded), self.floor).label


type StandingOf = Callable[[str, str], Standing]
"""By the client's id ("" for those that are in no database) and the tenant's."""
