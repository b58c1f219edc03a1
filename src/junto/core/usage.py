"""Token usage in disjoint classes.

Every token is counted in exactly one of input, cache_read, cache_write and output, whatever the provider's own
bookkeeping is; `reasoning` is the part of output that was thinking, and is not added again.
"""

from __future__ import annotations

from typing import Self

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer. `estimated` means Junto counted them because the upstream did not say."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def prompt(self) -> int:
        """All tokens that went in, cached or not: what OpenAI calls prompt_tokens."""
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """All tokens of the exchange."""
        return self.prompt + self.output

    def plus(self, other: Usage) -> Usage:
        """Both together; estimated as soon as one of them is."""
        return Usage(
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
            estimated=self.estimated or other.estimated,
        )

    @classmethod
    def checked(
        cls, *, input: int = 0, cache_read: int = 0, cache_write: int = 0, output: int = 0, reasoning: int = 0
    ) -> Self:
        """Usage from figures an upstream sent: negative ones become 0, absurd ones the most there is, which nobody believes.

        Whether the rest can be true, gateway/plausibility.py says.
        """
        if 0 <= input <= MOST_TOKENS and 0 <= output <= MOST_TOKENS and not (cache_read or cache_write or reasoning):
            return cls(input=input, output=output)
        return cls(
            input=_sane(input),
            cache_read=_sane(cache_read),
            cache_write=_sane(cache_write),
            output=_sane(output),
            reasoning=min(_sane(reasoning), _sane(output)),
        )


MOST_TOKENS = 1_000_000_000
"""What an absurd count stands as."""


def _sane(count: int) -> int:
    return min(max(count, 0), MOST_TOKENS)


def estimate_tokens(characters: int) -> int:
    """Tokens that a text of that many characters is likely to have: a quarter, at least one if there is any text."""
    return (characters + 3) // 4
