"""Every provider Junto knows, as rows of data: a vendor that speaks OpenAI is a row here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from junto.core.chat import Operation
from junto.core.sensitivity import Locality


class Family(StrEnum):
    """Which class speaks to it."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"
    LLAMA_CPP = "llama_cpp"
    FAKE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One provider. `url` is where it is unless configured; `key_variable` names the environment variable of its key."""

    name: str
    family: Family
    url: str | None = None
    key_variable: str | None = None
    locality: Locality = Locality.CLOUD
    headers_come_early: bool = True
    operations: frozenset[Operation] = frozenset(Operation)


_OPENAI_SPEAKERS = (
    ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    ("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    ("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    ("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    ("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    ("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    ("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    # Servers that anyone can run: where they run decides, so they are cloud until the operator says `locality: local`.
    ("vllm", None, None),
    ("lmstudio", None, None),
    ("llama_cpp_server", None, None),
    ("litellm", None, None),
)

VENDORS = {
    vendor.name: vendor
    for vendor in (
        *(
            Vendor(name=name, family=Family.OPENAI, url=url, key_variable=key, headers_come_early=url is not None)
            for name, url, key in _OPENAI_SPEAKERS
        ),
        Vendor(
            name="anthropic",
            family=Family.ANTHROPIC,
            url="https://api.anthropic.com/v1",
            key_variable="ANTHROPIC_API_KEY",
            operations=frozenset({Operation.CHAT}),
        ),
        Vendor(
            name="ollama",
            family=Family.OLLAMA,
            url="http://127.0.0.1:11434",
            locality=Locality.LOCAL,
            headers_come_early=False,
        ),
        Vendor(name="llama_cpp", family=Family.LLAMA_CPP, locality=Locality.LOCAL, headers_come_early=False),
        Vendor(name="fake", family=Family.FAKE, locality=Locality.LOCAL),
    )
}
