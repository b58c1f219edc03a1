"""Looks at how old the prices are."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from junto.cli.checkup.finding import note, ok
from junto.core.document import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.cli.checkup.finding import Finding

_OLD_DAYS = 180


def check_prices(texts: Iterable[str], today: dt.date) -> Finding:
    """When the newest price that counts today began, in these price files' texts."""
    rows = [row for text in texts for row in read(text).value or ()]
    dates = [day for row in rows if (day := dt.date.fromisoformat(row["from"])) <= today]
    if not dates:
        return note(
            "prices", "There are no prices: everything counts as free.", "Reinstall Junto, or write a pricing.yaml."
        )
    age = (today - max(dates)).days
    message = f"{len(dates)} prices, the newest from {max(dates)}."
    if age <= _OLD_DAYS:
        return ok("prices", message)
    return note(
        "prices", f"{message} That was {age} days ago.", "Upgrade Junto, or write new ones into a pricing.yaml."
    )
