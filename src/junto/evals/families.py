"""Which family a model is of, by its name: models of one family judge each other kindly, so they do not judge each other. Pure.

A name that the table does not know is its own family, without its size, version and quantisation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# A lineage, and how the names of its models begin. A distilled or merged model is of every family that its name tells.
_FAMILIES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("openai", ("gpt", "chatgpt", "o1", "o3", "o4", "davinci", "babbage", "codex")),
    ("anthropic", ("claude",)),
    ("google", ("gemini", "gemma", "codegemma", "shieldgemma", "palm", "learnlm")),
    ("llama", ("llama", "codellama", "tinyllama", "vicuna", "alpaca")),
    ("qwen", ("qwen", "codeqwen", "qwq", "qvq")),
    ("mistral", ("mistral", "mixtral", "ministral", "magistral", "codestral", "devstral", "pixtral", "voxtral")),
    ("deepseek", ("deepseek",)),
    ("microsoft", ("phi", "orca", "wizardlm")),
    ("cohere", ("command", "aya", "c4ai")),
    ("xai", ("grok",)),
    ("smollm", ("smollm", "smolvlm")),
    ("ibm", ("granite",)),
    ("nvidia", ("nemotron", "nemo")),
    ("zhipu", ("glm", "chatglm")),
    ("01ai", ("yi",)),
    ("moonshot", ("kimi", "moonlight")),
    ("falcon", ("falcon",)),
    ("allenai", ("olmo", "tulu", "molmo")),
    ("amazon", ("nova", "titan")),
    ("minimax", ("minimax", "abab")),
    ("stability", ("stablelm", "stable")),
    ("liquid", ("lfm",)),
)
_SPLIT: Final = re.compile(r"[-_:@\s]+")
_LONGEST: Final = 300
_BESIDE: Final = frozenset(
    re.findall(
        r"\w+",
        "latest instruct chat it base pt hf gguf ggml mlx awq gptq bnb int fp bf f q k m s l xl preview exp mini small medium large"
        " nano micro turbo flash pro plus ultra lite free thinking reasoning distill merged",
    )
)
_SIZED: Final = re.compile(r"(?:v?\d[\d.]*[a-z]{0,3}|[a-z]{1,3}\d[\d.]*(?:x\d+[bm])?)")


def families_of(*names: str) -> frozenset[str]:
    """Every family that these names of one model tell; empty for none."""
    return frozenset(family for name in names if name.strip() for family in _of(name))


def same_family(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether they have a family in common."""
    return not frozenset(one).isdisjoint(other)


def _of(name: str) -> Iterable[str]:
    bare = name[-_LONGEST:].strip().casefold().rstrip("/").rsplit("/", 1)[-1]
    words = [word for word in _SPLIT.split(bare) if word]
    known = {family for word in words for family, beginnings in _FAMILIES if _begins(word, beginnings)}
    return known or {_itself(words) or bare}


def _begins(word: str, beginnings: tuple[str, ...]) -> bool:
    """Whether a word of a name is one of those, with nothing or a number behind it: `qwen2.5` is, `commander` is not."""
    for beginning in beginnings:
        rest = word.removeprefix(beginning)
        if rest != word and (not rest or not rest[0].isalpha()):
            return True
    return False


def _itself(words: Iterable[str]) -> str:
    """The name without what tells one of its sizes from another."""
    return "-".join(word for word in words if word not in _BESIDE and not _SIZED.fullmatch(word))
