"""A target beside what was found. Pure; a verdict is never an exit code."""

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One target and what was found; `met` is None when it could not be judged."""

    target: str
    wanted: str
    found: str
    met: bool | None


def at_most(target: str, found: float | None, limit: float, unit: str) -> Verdict:
    """Judge what should be small."""
    return _verdict(target, f"<= {limit:g}{unit}", found, unit, met=None if found is None else found <= limit)


def at_least(target: str, found: float | None, limit: float, unit: str) -> Verdict:
    """Judge what should be large."""
    return _verdict(target, f">= {limit:g}{unit}", found, unit, met=None if found is None else found >= limit)


def _verdict(target: str, wanted: str, found: float | None, unit: str, *, met: bool | None) -> Verdict:
    return Verdict(target=target, wanted=wanted, found="-" if found is None else f"{number(found)}{unit}", met=met)


def number(value: float | None, unit: str = "") -> str:
    """Return a figure with three digits that count."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}{unit}"
    return f"{value:.3g}{unit}"
