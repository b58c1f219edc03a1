"""A template as one caller wants it otherwise, for one question. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import InvalidField
from junto.core.near import did_you_mean
from junto.council.template import document_of, parse_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.council.model import Template


def amended(template: Template, *, members: object = None, rounds: object = None) -> Template:
    """The template with what a caller wants otherwise for one question; raises InvalidTemplate, or InvalidField.

    `members`: a list of names, to hear only those, or of mappings: one with the name of a member changes what it mentions, another
    one is a new member. The quorum is the majority again, and reviewers that are not there are forgotten. A model that is mentioned
    counts as named by the caller. `rounds`: as in a document; a number of them.
    """
    document = document_of(template)
    if rounds is not None:
        document["rounds"] = rounds
    if members is None:
        return parse_template(document, template.name)
    known = {entry["name"]: entry for entry in document["members"]}
    chosen = [_chosen(entry, known, at) for at, entry in enumerate(members)] if isinstance(members, list) else members
    document |= {"members": chosen, "quorum": None}
    if template.ranking is not None:
        names = [one.get("name") for one in chosen if isinstance(one, dict)] if isinstance(chosen, list) else []
        reviewers = [name for name in template.ranking.reviewers if name in names]
        document["ranking"] = {"instruction": template.ranking.instruction, "reviewers": reviewers or None}
    by_caller = {
        str(entry.get("name")).strip()
        for entry in (members if isinstance(members, list) else [])
        if _names_model(entry)
    }
    made = parse_template(document, template.name)
    return msgspec.structs.replace(
        made,
        members=tuple(msgspec.structs.replace(one, by_caller=one.name in by_caller) for one in made.members),
    )


def _chosen(entry: object, known: Mapping[str, Mapping[str, Any]], at: int) -> object:
    """What one entry of a caller's list of members means, as far as it means anything; raises InvalidField for a name nobody has."""
    if isinstance(entry, str):
        if entry not in known:
            names = did_you_mean(entry, known) or f" The members are {', '.join(known)}."
            message = f"No member is called {entry[:100]!r}.{names}"
            raise InvalidField(message, param=f"members[{at}]")
        return known[entry]
    if isinstance(entry, dict) and isinstance(entry.get("name"), str):
        return {**known.get(entry["name"], {}), **entry}
    return entry


def _names_model(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("model") is not None
