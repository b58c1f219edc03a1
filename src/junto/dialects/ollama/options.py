"""Ollama's knobs and the core's: `options` and Sampling, `think` and Reasoning, `format` and Format. Pure tables.

What the core has no word for stays in the rest of `options`, which travels as an extra.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from junto.core.chat import Format, Reasoning, Sampling
from junto.core.errors import InvalidField

type Effort = Literal["none", "minimal", "low", "medium", "high"]

_FLOATS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty")
_INTS = ("top_k", "seed")
_LEVELS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "max": "high"}
_RENDERED_LEVELS: dict[Effort, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
}


def parse_options(options: dict[str, Any]) -> tuple[Sampling, dict[str, Any]]:
    """The sampling in `options`, and what is left of them; raises InvalidField for a wrong type."""
    rest = {name: value for name, value in options.items() if value is not None}
    known: dict[str, Any] = {}
    for name in _FLOATS:
        if name in rest:
            known[name] = _number(name, rest.pop(name))
    for name in _INTS:
        if name in rest:
            known[name] = _integer(name, rest.pop(name))
    limit = rest.get("num_predict")
    if limit is not None and _integer("num_predict", limit) > 0:  # 0 and below say "no limit" in several ways
        known["max_tokens"] = _integer("num_predict", rest.pop("num_predict"))
    if "stop" in rest:
        known["stop"] = _stops(rest.pop("stop"))
    return Sampling(**known), rest


def render_options(sampling: Sampling, rest: dict[str, Any]) -> dict[str, Any]:
    """The `options` for that sampling, on top of what the caller's own dialect had besides."""
    options = dict(rest)
    for name in (*_FLOATS, *_INTS):
        value = getattr(sampling, name)
        if value is not None:
            options[name] = value
    if sampling.max_tokens is not None:
        options["num_predict"] = sampling.max_tokens
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    return options


def parse_think(think: bool | str | None) -> Reasoning | None:  # noqa: FBT001 - the field's own type
    """The reasoning that `think` asks for; raises InvalidField for a level that does not exist."""
    if think is None:
        return None
    if isinstance(think, bool):
        return Reasoning() if think else Reasoning(effort="none")
    level = _LEVELS.get(think.lower())
    if level is None:
        raise InvalidField("`think` must be true, false, low, medium, high or max.", param="think")
    return Reasoning(effort=level)


def render_think(reasoning: Reasoning) -> bool | str:
    """What `think` says for that reasoning; a budget has no word here and reads as yes."""
    return True if reasoning.effort is None else _RENDERED_LEVELS[reasoning.effort]


def parse_format(format: object) -> Format | None:
    """The form that `format` asks for: "json", a schema, or nothing."""
    if format is None or format == "":
        return None
    if format == "json":
        return Format("json")
    if isinstance(format, dict):
        return Format("json_schema", cast("dict[str, Any]", format))
    raise InvalidField('`format` must be "json" or a JSON schema.', param="format")


def render_format(format: Format) -> str | dict[str, Any]:
    """What `format` says for that form."""
    return "json" if format.schema is None else format.schema


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidField(f"The option `{name}` must be a number.", param=f"options.{name}")
    return value


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise InvalidField(f"The option `{name}` must be an integer.", param=f"options.{name}")
    return int(value)


def _stops(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(stop, str) for stop in value):
        return tuple(value)
    raise InvalidField("The option `stop` must be a list of strings.", param="options.stop")
