"""How large the scenarios are: short ones in `make test`, the full ones in `make chaos` (JUNTO_CHAOS=long)."""

from __future__ import annotations

import os
from typing import Final

IS_LONG: Final = os.environ.get("JUNTO_CHAOS") == "long"
PATIENCE: Final = 2400 if IS_LONG else 240  # seconds until a scenario counts as hung


def size[T](short: T, full: T) -> T:
    """What this run is to use."""
    return full if IS_LONG else short
