"""Near names: what someone may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 100  # characters compared; comparing is quadratic in them
_MOST = 500  # names compared


def near(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The known names most like this one, best first; bounded work whatever the input."""
    short = [other for other in known if len(other) <= _LONGEST][:_MOST]
    return difflib.get_close_matches(name[:_LONGEST], short, n=most, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean x, y?` with a leading space, or nothing when no name is near."""
    names = near(name, known)
    return f" Did you mean {', '.join(names)}?" if names else ""
