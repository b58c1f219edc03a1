"""Whether what an upstream reports as used can be true. What cannot is not charged: Junto's own count stands for it, flagged.

Pure. Bounds are wide, so that only nonsense meets them: hidden thinking, files that are named by an id, tools that run at the
provider and templates all use tokens that nobody sees here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.usage import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.usage import Usage
    from junto.dialects.wire import Head

BELIEVED: Final = 4_096  # tokens in all; a report of no more is not looked at any closer
UNKNOWN_PROMPT: Final = 2_000_000  # tokens of a prompt, beyond its bytes, where the model's context is not known
_ROUNDS: Final = 4  # a provider that runs tools itself reads its context again each time
MOST_HIDDEN: Final = 262_144  # tokens of an answer that nobody sees, where no maximum was set
_LEAST_HIDDEN: Final = 65_536  # the same under a maximum, which some do not apply to thinking
_TOKENS_OF_CHARACTER: Final = 4


def most_prompt(body_bytes: int, context: int | None) -> int:
    """Tokens that a request of so many bytes can have, for a model with that context (None: not known)."""
    return body_bytes + (UNKNOWN_PROMPT if context is None else context * _ROUNDS)


def most_hidden(head: Head) -> int:
    """Tokens that an answer can have beyond what is seen of it."""
    each = MOST_HIDDEN if head.max_tokens is None else max(head.max_tokens * _ROUNDS, _LEAST_HIDDEN)
    return each * max(head.answers, 1)


def believable(
    usage: Usage, head: Head, *, body_bytes: int, context: int | None, characters: Callable[[], int]
) -> Usage:
    """The usage as reported; or with Junto's own count of the side, prompt or answer, that cannot be true, and flagged.

    `characters` tells how much was answered, and is asked only when the answer is in doubt.
    """
    if usage.total <= BELIEVED:
        return usage
    if usage.prompt > most_prompt(body_bytes, context):
        usage = msgspec.structs.replace(usage, input=head.prompt_tokens, cache_read=0, cache_write=0, estimated=True)
    hidden = most_hidden(head)
    if usage.output > hidden and usage.output > hidden + (seen := characters()) * _TOKENS_OF_CHARACTER:
        usage = msgspec.structs.replace(usage, output=estimate_tokens(seen), reasoning=0, estimated=True)
    return usage
