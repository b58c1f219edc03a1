"""From a document that a person wrote (a YAML file, the body of a request) to a Template, or to everything that is wrong with it.

Does no I/O. The values themselves are in model.py; they can be had from here too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from junto.core.chat import Sampling
from junto.core.document import ConfigError, ConfigErrors, path_text, read
from junto.core.errors import InvalidField
from junto.core.money import nano_from_usd
from junto.core.near import did_you_mean
from junto.council.fields import Fields, Problem
from junto.council.model import (
    CHAIR_NAME,
    CHAIR_TOKENS,
    DEFAULT_DEADLINE_S,
    DEFAULT_MODEL,
    OPINION_TOKENS,
    PREFIX,
    SAMPLED,
    Chair,
    Member,
    Output,
    Ranking,
    Round,
    Sees,
    Template,
    document_of,
    majority,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "PREFIX",
    "Chair",
    "InvalidTemplate",
    "Member",
    "Output",
    "Ranking",
    "Round",
    "Sees",
    "Template",
    "check_name",
    "document_of",
    "parse",
    "parse_template",
]

MOST_MEMBERS: Final = 12
MOST_ROUNDS: Final = 5
LONGEST_TEXT: Final = 8_000
LONGEST_NAME: Final = 60
LONGEST_MODEL: Final = 256
MOST_TOKENS: Final = 32_000
LONGEST_DEADLINE_S: Final = 3_600
HIGHEST_BUDGET_USD: Final = 10_000
LARGEST_SCHEMA: Final = 32_000  # bytes as JSON
MOST_STOPS: Final = 8

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_CIRCULAR: Final = ("council/", "agent/", "task/")
_KEYS: Final = frozenset(Template.__struct_fields__) - {"budget_nano"} | {"budget_usd"}
_SPEAKING: Final = frozenset({"name", "persona", "model", "sampling", "max_tokens"})
_NUMBERS: Final = {  # of sampling: lowest, highest
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_WHOLES: Final = {"top_k": (0, 1_000), "seed": (0, 2**31 - 1)}


class InvalidTemplate(InvalidField):
    """The template cannot be convened; `problems` are all there are, `reasons` the same as lines for people."""

    code = "invalid_template"

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [_line(problem) for problem in self.problems]
        super().__init__(
            f"The council {name[:LONGEST_NAME]!r} cannot be convened: {'; '.join(lines[:3])}"
            + (f"; and {len(lines) - 3} more." if len(lines) > 3 else "."),  # noqa: PLR2004  as many as were shown
            param=path_text(self.problems[0].path) or None,
            reasons=lines,
        )


def check_name(name: str) -> str:
    """The name if a template may have it; raises InvalidField."""
    if not _NAME.fullmatch(name):
        what = f"{name[:LONGEST_NAME]!r} is no name of a council: small letters, digits and -, at most 64 of them."
        raise InvalidField(what, param="name")
    return name


def parse(text: str, name: str, source: str = "") -> Template:
    """The template in a YAML file's text; raises ConfigErrors with every problem and its line. `source` names the file in them."""
    try:
        document = read(text)
    except ConfigErrors as error:
        raise ConfigErrors(error.errors, source) from None
    try:
        return parse_template(document.value, name)
    except InvalidTemplate as invalid:
        errors = [document.error(problem.path, problem.message) for problem in invalid.problems]
    except InvalidField as wrong:  # the name, which is the file's
        errors = [ConfigError("", None, wrong.message)]
    raise ConfigErrors(errors, source)


def parse_template(raw: object, name: str) -> Template:
    """The template of that name in plain data; raises InvalidTemplate with every problem, or InvalidField for the name."""
    check_name(name)
    if not isinstance(raw, dict):
        raise InvalidTemplate(
            name, [Problem((), "must be a mapping of keys, like `members: [{name: ..., persona: ...}]`")]
        )
    fields = Fields(raw, ())
    template = _template(fields, name)
    if fields.problems:
        raise InvalidTemplate(name, fields.problems)
    return template


def _template(fields: Fields, name: str) -> Template:
    fields.only(_KEYS)
    if fields.text("name", longest=LONGEST_NAME * 2, default=name) != name:
        fields.complain(f"must be {name}, by which it is kept, or be left out", "name")
    model = _model(fields, DEFAULT_MODEL)
    max_tokens = fields.whole("max_tokens", 1, MOST_TOKENS) or OPINION_TOKENS
    members = _members(fields, model, max_tokens)
    budget = fields.number("budget_usd", 0, HIGHEST_BUDGET_USD)
    return Template(
        name=name,
        description=fields.text("description", longest=LONGEST_TEXT),
        members=members,
        rounds=_rounds(fields),
        ranking=_ranking(fields, members),
        chair=_chair(fields, model, [member.name for member in members]),
        quorum=_quorum(fields),
        deadline_s=fields.number("deadline_s", 1, LONGEST_DEADLINE_S) or DEFAULT_DEADLINE_S,
        budget_nano=None if budget is None else nano_from_usd(budget),
        max_tokens=max_tokens,
        output=_output(fields),
        model=model,
        below_quorum=cast("Any", fields.choice("below_quorum", ("answer", "fail"), "answer")),
    )


def _members(fields: Fields, model: str, max_tokens: int) -> tuple[Member, ...]:
    entries = fields.listing("members", MOST_MEMBERS)
    if fields.data.get("members") in (None, [], ()):
        fields.complain("must name somebody: a list of {name, persona}", "members")
    members: list[Member] = []
    for index, entry in enumerate(entries):
        inner = fields.entry("members", index, entry)
        if inner is not None:
            members.append(_member(inner, model, max_tokens, members))
    return tuple(members)


def _member(fields: Fields, model: str, max_tokens: int, before: Sequence[Member]) -> Member:
    fields.only(_SPEAKING)
    name = fields.text("name", longest=LONGEST_NAME, needed=True, one_line=True)
    if "<<<" in name or ">>>" in name:
        fields.complain("must not hold <<< or >>>", "name")
    for index, other in enumerate(before):
        if name and other.name.casefold() == name.casefold():
            fields.complain(f"{name} is the name of members[{index}] already", "name")
    return Member(
        name=name,
        persona=fields.text("persona", longest=LONGEST_TEXT, needed=True),
        model=_model(fields, model),
        sampling=_sampling(fields),
        max_tokens=fields.whole("max_tokens", 1, MOST_TOKENS) or max_tokens,
    )


def _chair(fields: Fields, model: str, members: Sequence[str]) -> Chair:
    inner = fields.mapping("chair")
    if inner is None:
        return Chair(model=model)
    inner.only(_SPEAKING | {"neutral"})
    name = inner.text("name", longest=LONGEST_NAME, default=CHAIR_NAME, one_line=True)
    if name.casefold() in {member.casefold() for member in members}:
        inner.complain(f"{name} is the name of a member already", "name")
    return Chair(
        name=name,
        persona=inner.text("persona", longest=LONGEST_TEXT),
        model=_model(inner, model),
        sampling=_sampling(inner),
        max_tokens=inner.whole("max_tokens", 1, MOST_TOKENS) or CHAIR_TOKENS,
        neutral=inner.flag("neutral"),
    )


def _rounds(fields: Fields) -> tuple[Round, ...]:
    """Rounds as they are written; a number of them means: each for itself first, then everybody sees everybody."""
    value = fields.data.get("rounds")
    if value is None:
        return (Round(),)
    if isinstance(value, int):
        number = fields.whole("rounds", 1, MOST_ROUNDS) or 1
        return (Round(), *(Round(sees=Sees.ALL) for _ in range(number - 1)))
    entries = fields.listing("rounds", MOST_ROUNDS)
    if isinstance(value, list) and not value:
        fields.complain("must be at least one", "rounds")
    rounds = []
    for index, entry in enumerate(entries):
        inner = fields.entry("rounds", index, entry)
        if inner is not None:
            inner.only(("sees", "instruction"))
            sees = Sees(inner.choice("sees", tuple(Sees), Sees.OWN))
            rounds.append(Round(sees=sees, instruction=inner.text("instruction", longest=LONGEST_TEXT)))
    return tuple(rounds)


def _ranking(fields: Fields, members: Sequence[Member]) -> Ranking | None:
    inner = fields.mapping("ranking")
    if inner is None:
        return None
    inner.only(("reviewers", "instruction"))
    names = [member.name for member in members]
    reviewers = inner.listing("reviewers", MOST_MEMBERS)
    for index, reviewer in enumerate(reviewers):
        if not isinstance(reviewer, str):
            inner.complain("must be the name of a member", "reviewers", index)
        elif reviewer not in names:
            what = (
                f"there is no member {reviewer[:LONGEST_NAME]!r}; reviewers are members.{did_you_mean(reviewer, names)}"
            )
            inner.complain(what, "reviewers", index)
        elif reviewer in reviewers[:index]:
            inner.complain(f"{reviewer} is named twice", "reviewers", index)
    chosen = tuple(name for name in names if not reviewers or name in reviewers)
    return Ranking(reviewers=chosen, instruction=inner.text("instruction", longest=LONGEST_TEXT))


def _quorum(fields: Fields) -> int:
    """The majority unless it says otherwise; members count that are wrong in something else too."""
    named = fields.data.get("members")
    members = len(named) if isinstance(named, list) else 0
    quorum = fields.whole("quorum", 1, MOST_MEMBERS)
    if quorum is not None and members and quorum > members:
        fields.complain(f"must be at most {members}, which is how many members there are, not {quorum}", "quorum")
    return quorum or majority(members)


def _output(fields: Fields) -> Output:
    inner = fields.mapping("output")
    if inner is None:
        return Output()
    inner.only(("instructions", "format", "schema"))
    format = inner.choice("format", ("text", "json"), "text")
    schema = inner.mapping("schema")
    if schema is not None and format != "json":
        inner.complain("goes with format: json", "schema")
    if schema is not None and not _fits(schema.data):
        inner.complain(f"must be a JSON schema of at most {LARGEST_SCHEMA} bytes", "schema")
    return Output(
        instructions=inner.text("instructions", longest=LONGEST_TEXT),
        format=cast("Any", format),
        schema=None if schema is None else dict(schema.data),
    )


def _fits(schema: Mapping[str, Any]) -> bool:
    try:
        return len(msgspec.json.encode(schema)) <= LARGEST_SCHEMA
    except (TypeError, ValueError, RecursionError):
        return False


def _model(fields: Fields, default: str) -> str:
    """A model, a group or `backend/model`. Whatever composes its answers itself would lead in circles."""
    name = fields.text("model", longest=LONGEST_MODEL, default=default, one_line=True)
    wrong = ""
    if " " in name or not name.isprintable():
        wrong = "must be a name without spaces"
    elif name.startswith(_CIRCULAR) or name.removesuffix(":latest") == "auto":
        wrong = f"must be a model or a group: {name[:LONGEST_NAME]} would lead in circles"
    if wrong:
        fields.complain(wrong, "model")
    return default if wrong else name


def _sampling(fields: Fields) -> Sampling:
    inner = fields.mapping("sampling")
    if inner is None:
        return Sampling()
    inner.only(SAMPLED)
    values: dict[str, Any] = {name: inner.number(name, low, high) for name, (low, high) in _NUMBERS.items()}
    values |= {name: inner.whole(name, low, high) for name, (low, high) in _WHOLES.items()}
    stop = inner.data.get("stop")
    stops = [stop] if isinstance(stop, str) else inner.listing("stop", MOST_STOPS)
    if not all(isinstance(one, str) and 0 < len(one) <= LONGEST_NAME for one in stops):
        inner.complain(f"must be texts of at most {LONGEST_NAME} characters", "stop")
        stops = []
    return Sampling(**values, stop=tuple(stops))


def _line(problem: Problem) -> str:
    path = path_text(problem.path)
    return f"{path}: {problem.message}" if path else problem.message
