"""Where prices lie: the list shipped with Junto, and the operator's own file on top of it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from junto.catalog.prices import PriceTable
from junto.core.document import MAX_CHARACTERS, ConfigError, ConfigErrors

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = "pricing.yaml"


def shipped_prices() -> PriceTable:
    """The prices that come with this version of Junto."""
    return PriceTable.parse(resources.files("junto.catalog").joinpath(SHIPPED).read_text("utf-8"))


def read_prices(own: Path | None) -> PriceTable:
    """The shipped prices with the operator's file on top; raises ConfigErrors when that cannot be read."""
    if own is None:
        return shipped_prices()
    try:
        with own.open("rb") as file:
            text = file.read(MAX_CHARACTERS * 4 + 1).decode("utf-8")
    except OSError as error:
        raise ConfigErrors([ConfigError("", None, f"The file cannot be read: {error.strerror}.")], str(own)) from None
    except UnicodeDecodeError:
        raise ConfigErrors([ConfigError("", None, "The file is not UTF-8 text.")], str(own)) from None
    return shipped_prices().overlaid(PriceTable.parse(text, str(own)))
