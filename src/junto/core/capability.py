"""What a request can need of a model and a model can offer."""

from __future__ import annotations

from enum import IntFlag


class Capability(IntFlag):
    """A set of abilities; a deployment whose set is unknown is assumed able."""

    NONE = 0
    CHAT = 1
    TOOLS = 2
    VISION = 4
    JSON_SCHEMA = 8
    REASONING = 16
    EMBEDDINGS = 32

    @property
    def labels(self) -> list[str]:
        """The names of the abilities in the set, lower case, in a fixed order."""
        return [member.name.lower() for member in Capability if member in self and member.name]
