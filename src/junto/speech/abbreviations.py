"""Words that end in a full stop without ending a sentence, by what follows them. Lower case, without the last full stop."""

from __future__ import annotations

WITHIN = frozenset(
    {"e.g", "i.e", "vs", "viz", "cf", "approx", "z.b", "d.h", "u.a", "bzw", "incl", "resp", "mr", "mrs", "ms", "mx"}
)
"""Nothing ends with these."""

BEFORE_NAMES = frozenset(
    {"dr", "prof", "rev", "hon", "st", "gen", "col", "maj", "capt", "lt", "sgt", "cmdr", "adm", "gov", "sen", "rep"}
    | {"pres", "messrs", "mme", "mlle", "mt", "ft", "fr", "hr", "sr", "sra"}
)
"""A capital letter after these is a name's."""

BEFORE_NUMBERS = frozenset(
    {
        "no",
        "nos",
        "nr",
        "p",
        "pp",
        "fig",
        "figs",
        "eq",
        "sec",
        "ch",
        "art",
        "para",
        "vol",
        "vols",
        "ed",
        "ca",
        "v",
    }
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)
"""A digit after these is theirs."""
