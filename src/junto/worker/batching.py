"""When jobs of the models in memory go before others of the same priority: for so many claims or seconds, then fairness has its turn.

Pure; the gateway's slots batch by model in the same way among what was claimed.
"""

from __future__ import annotations

from typing import Final

_JOBS: Final = 8
_SECONDS: Final = 30.0


class Batching:
    """The preference of one worker."""

    def __init__(self, *, jobs: int = _JOBS, seconds: float = _SECONDS) -> None:
        self._jobs = jobs
        self._seconds = seconds
        self._taken = 0
        self._since: float | None = None

    @property
    def left(self) -> int:
        """How many more may be claimed with the preference."""
        return max(1, self._jobs - self._taken)

    def prefers(self, now: float) -> bool:
        """Whether the next claim goes by what is in memory."""
        if self._taken >= self._jobs or (self._since is not None and now - self._since >= self._seconds):
            self._taken, self._since = 0, None
            return False
        return True

    def took(self, preferred: int, now: float) -> None:
        """So many jobs of models in memory were claimed with the preference."""
        if preferred:
            self._taken += preferred
            self._since = now if self._since is None else self._since
