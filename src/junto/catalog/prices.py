"""Dated prices: which price a model had on a day. Reads the text of pricing.yaml; where that text lies is not its business.

Amounts in the file are US dollars per million tokens, and per second of GPU time for `gpu_second`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from junto.catalog.names import canonical
from junto.core.capability import Capability
from junto.core.document import ConfigError, ConfigErrors, Document, Path, read
from junto.core.money import Price, nano_from_usd
from junto.core.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_AMOUNTS = ("input", "cache_read", "cache_write", "output", "gpu_second")
_KEYS = frozenset({"model", "provider", "backend", "from", "context", "capabilities", "aliases", *_AMOUNTS})
_ABILITIES = {member.name.lower(): member for member in Capability if member.name}
_HIGHEST = 1_000_000  # dollars per million tokens: beyond it, it is a slip of the pen
_ANY = "*"
_VERSION = re.compile(r"(?:-\d{8}|-\d{4}-\d{2}-\d{2}|-\d{4}|-\d{3}|-latest)$")


class DatedPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price from a day on, and what else the price list knows of the model (None: nothing)."""

    since: dt.date
    price: Price
    context: int | None = None
    capabilities: Capability | None = None


class _Key(msgspec.Struct, frozen=True):
    """Whose price: of a provider's model, or of one backend's; the other is empty. The model may be `*`."""

    provider: str
    backend: str
    model: str


class PriceTable(msgspec.Struct, frozen=True, eq=False):
    """All prices known, each model's newest first."""

    _entries: Mapping[_Key, tuple[DatedPrice, ...]] = {}
    _providers: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str, source: str = "pricing.yaml") -> PriceTable:
        """The table in a file's text; raises ConfigErrors with every error in it."""
        try:
            document = read(text)
            reader = _Reader(document)
            rows = list(reader.rows())
        except ConfigErrors as error:
            raise ConfigErrors(error.errors, source) from None
        if reader.errors:
            raise ConfigErrors(reader.errors, source)
        return _table(rows)

    def overlaid(self, other: PriceTable) -> PriceTable:
        """The table with the other's entries on top: a model that both know has the other's prices only."""
        return PriceTable({**self._entries, **other._entries}, self._providers | other._providers)

    def knows(self, provider: str) -> bool:
        """Whether there are prices of that provider's models by name."""
        return provider in self._providers

    def lookup(self, provider: str, model: str, on: dt.date, *, backend: str = "") -> DatedPrice | None:
        """The price of that model on that day: the backend's own if it has one, else the provider's.

        A model is found by its name, then without a version at its end (`-20250929`, `-2024-08-06`, `-latest`), then as `*`.
        """
        names = _spellings(model)
        keys = [_Key("", backend, name) for name in names if backend]
        keys += [_Key(provider, "", name) for name in names if provider]
        for key in keys:
            for dated in self._entries.get(key, ()):
                if dated.since <= on:
                    return dated
        return None


def _spellings(model: str) -> tuple[str, ...]:
    plain = canonical(model.removeprefix("models/"))
    return tuple(dict.fromkeys((model, plain, _VERSION.sub("", plain), _ANY)))


def _table(rows: Sequence[tuple[_Key, DatedPrice]]) -> PriceTable:
    entries: dict[_Key, list[DatedPrice]] = {}
    for key, dated in rows:
        entries.setdefault(key, []).append(dated)
    newest_first = {
        key: tuple(sorted(dated, key=lambda one: one.since, reverse=True)) for key, dated in entries.items()
    }
    return PriceTable(newest_first, frozenset(key.provider for key in entries if key.model != _ANY) - {""})


class _Reader:
    """Reads rows one by one and notes every error with its line."""

    def __init__(self, document: Document) -> None:
        self.errors: list[ConfigError] = []
        self._document = document
        self._seen: dict[tuple[_Key, dt.date], int] = {}

    def rows(self) -> Iterator[tuple[_Key, DatedPrice]]:
        entries = self._document.value
        if entries is None:
            return
        if not isinstance(entries, list):
            self._complain((), "The file must be a list of prices: `- {provider: ..., model: ..., from: ..., ...}`.")
            return
        for index, entry in enumerate(entries):
            if isinstance(entry, dict):
                yield from self._row(index, entry)
            else:
                self._complain((index,), "A price is a mapping: {provider: ..., model: ..., from: ..., ...}.")

    def _row(self, index: int, entry: dict[str, Any]) -> Iterator[tuple[_Key, DatedPrice]]:
        before = len(self.errors)
        for key in entry.keys() - _KEYS:
            self._complain((index, key), f"There is no key {key[:80]!r} in a price.{did_you_mean(key, _KEYS)}")
        keys = self._keys(index, entry)
        dated = DatedPrice(
            since=self._since(index, entry),
            price=self._price(index, entry),
            context=self._context(index, entry),
            capabilities=self._capabilities(index, entry),
        )
        self._refuse_twice(index, keys, dated.since)
        if len(self.errors) == before:
            yield from ((key, dated) for key in keys)

    def _keys(self, index: int, entry: dict[str, Any]) -> list[_Key]:
        provider, backend = self._text(index, entry, "provider"), self._text(index, entry, "backend")
        if bool(provider) == bool(backend):
            self._complain((index,), "A price names either a `provider` or one `backend`.")
        model = self._text(index, entry, "model")
        if not model:
            self._complain((index,), "A price names a `model` (`*` for any).")
        aliases = entry.get("aliases", [])
        if not isinstance(aliases, list) or not all(isinstance(alias, str) and alias for alias in aliases):
            self._complain((index, "aliases"), "Aliases are a list of names.")
            aliases = []
        return [_Key(provider, backend, canonical(name)) for name in (model, *aliases)]

    def _text(self, index: int, entry: dict[str, Any], key: str) -> str:
        value = entry.get(key, "")
        if isinstance(value, str):
            return value
        self._complain((index, key), f"{key} must be text; put {value!r} in quotes.")
        return ""

    def _since(self, index: int, entry: dict[str, Any]) -> dt.date:
        written = entry.get("from")
        try:
            return dt.date.fromisoformat(written)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            self._complain((index, "from"), "A price says `from` which day on it holds, as YYYY-MM-DD.")
            return dt.date.min

    def _price(self, index: int, entry: dict[str, Any]) -> Price:
        amounts = {name: self._amount(index, entry, name) for name in _AMOUNTS if name in entry}
        if not amounts:
            self._complain((index,), f"A price holds at least one of {', '.join(_AMOUNTS)}.")
        prompt = amounts.get("input", 0)  # a class that the list does not mention costs what any input costs
        return Price(**{"cache_read": prompt, "cache_write": prompt, **amounts})

    def _amount(self, index: int, entry: dict[str, Any], name: str) -> int:
        value = entry[name]
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if good and 0 <= value <= _HIGHEST:
            return nano_from_usd(value)
        self._complain((index, name), f"{name} must be dollars as a number from 0 to {_HIGHEST}.")
        return 0

    def _context(self, index: int, entry: dict[str, Any]) -> int | None:
        value = entry.get("context")
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self._complain((index, "context"), "The context is a whole number of tokens above 0.")
        return None

    def _capabilities(self, index: int, entry: dict[str, Any]) -> Capability | None:
        labels = entry.get("capabilities")
        if labels is None:
            return None
        if not isinstance(labels, list):
            self._complain((index, "capabilities"), f"Capabilities are a list of: {', '.join(_ABILITIES)}.")
            return None
        found = Capability.NONE
        for place, label in enumerate(labels):
            ability = _ABILITIES.get(label) if isinstance(label, str) else None
            if ability is None:
                known = ", ".join(_ABILITIES)
                self._complain((index, "capabilities", place), f"There is no capability {label!r}; there are {known}.")
            else:
                found |= ability
        return found

    def _refuse_twice(self, index: int, keys: Sequence[_Key], since: dt.date) -> None:
        for key in keys:
            first = self._seen.setdefault((key, since), index)
            if first != index:
                line = self._document.line((first,))
                self._complain((index,), f"{key.model!r} has a price from that day already, on line {line}.")

    def _complain(self, path: Path, message: str) -> None:
        self.errors.append(self._document.error(path, message))
