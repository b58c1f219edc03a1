"""The models an emulated Ollama has: what `/api/tags`, `/api/show` and `/api/ps` say of them. Pure.

Shapes after Ollama's `api/types.go`: ListModelResponse, ShowResponse, ProcessModelResponse, ModelDetails.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.upstreams.ask import Ask

MODIFIED_AT = "2026-10-02T09:41:17.123456789+02:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaModel:
    """One tag. `remote_host` and `remote_model` are set for a tag whose answers come from another machine."""

    name: str
    family: str = "llama"
    parameter_size: str = "3.2B"
    quantization: str = "Q4_K_M"
    size: int = 2_019_393_189
    size_vram: int | None = None
    context_length: int = 131_072
    loaded_context: int = 4096
    embedding_length: int = 64
    capabilities: tuple[str, ...] = ("completion", "tools")
    template: str = "{{ .System }}{{ .Prompt }}"
    parameters: str = 'stop                           "<|eot_id|>"'
    remote_host: str = ""
    remote_model: str = ""

    @property
    def tag(self) -> str:
        """The full name, with the tag that is implied."""
        return full_name(self.name)

    @property
    def digest(self) -> str:
        """The digest of the manifest, 64 hex digits."""
        return hashlib.sha256(self.tag.encode()).hexdigest()

    @property
    def is_remote(self) -> bool:
        """Whether another machine answers."""
        return bool(self.remote_host)


def full_name(name: str) -> str:
    """Add the implied tag `latest`."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def local_models() -> tuple[OllamaModel, ...]:
    """Make one model for each capability."""
    return (
        OllamaModel(name="llama3.2:latest"),
        OllamaModel(
            name="qwen3:8b",
            family="qwen3",
            parameter_size="8.2B",
            size=5_225_388_164,
            context_length=40_960,
            capabilities=("completion", "tools", "thinking"),
        ),
        OllamaModel(
            name="gemma3:4b",
            family="gemma3",
            parameter_size="4.3B",
            size=3_338_801_804,
            capabilities=("completion", "vision"),
        ),
        OllamaModel(
            name="nomic-embed-text:latest",
            family="nomic-bert",
            parameter_size="137M",
            quantization="F16",
            size=274_302_450,
            context_length=2048,
            capabilities=("embedding",),
        ),
    )


def remote_models() -> tuple[OllamaModel, ...]:
    """Make tags that leave the machine: two with telling names, one that only its fields give away."""
    elsewhere = {"remote_host": "https://ollama.com:443", "size": 384, "quantization": "MXFP4"}
    capabilities = ("completion", "tools", "thinking")
    return tuple(
        OllamaModel(
            name=name,
            family="gptoss",
            parameter_size="116.8B",
            remote_model="gpt-oss:120b",
            capabilities=capabilities,
            **elsewhere,  # type: ignore[arg-type]
        )
        for name in ("gpt-oss:120b-cloud", "kimi-k2:cloud", "house-helper:latest")
    )


def details_of(model: OllamaModel) -> dict[str, Any]:
    """Make ModelDetails."""
    return {
        "parent_model": "",
        "format": "" if model.is_remote else "gguf",
        "family": model.family,
        "families": None if model.is_remote else [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def listed(model: OllamaModel) -> dict[str, Any]:
    """Make an entry of `/api/tags`."""
    return {
        "name": model.tag,
        "model": model.tag,
        **remote_fields(model),
        "modified_at": MODIFIED_AT,
        "size": model.size,
        "digest": model.digest,
        "details": details_of(model),
    }


def shown(model: OllamaModel) -> dict[str, Any]:
    """Make the answer of `/api/show`."""
    architecture = model.family.replace("-", "")
    info: dict[str, Any] = {
        "general.architecture": architecture,
        "general.basename": model.name.split(":", maxsplit=1)[0],
        "general.parameter_count": 3_212_749_888,
        f"{architecture}.context_length": model.context_length,
        f"{architecture}.embedding_length": model.embedding_length,
    }
    return {
        "license": "Apache License 2.0",
        "modelfile": f"FROM {model.tag}\nTEMPLATE {model.template}\n",
        "parameters": model.parameters,
        "template": model.template,
        "details": details_of(model),
        **remote_fields(model),
        "model_info": info,
        "capabilities": list(model.capabilities),
        "modified_at": MODIFIED_AT,
    }


def running(model: OllamaModel, expires_at: datetime) -> dict[str, Any]:
    """Make an entry of `/api/ps`; sizes in bytes, in memory somewhat more than on disk."""
    size = model.size * 5 // 4
    return {
        "name": model.tag,
        "model": model.tag,
        "size": size,
        "digest": model.digest,
        "details": details_of(model),
        "expires_at": expires_at.isoformat(),
        "size_vram": size if model.size_vram is None else model.size_vram,
        "context_length": model.loaded_context,
    }


def remote_fields(model: OllamaModel) -> dict[str, Any]:
    """Make the two fields that only remote tags have."""
    return {"remote_model": model.remote_model, "remote_host": model.remote_host} if model.is_remote else {}


def lacking_capability(model: OllamaModel, ask: Ask, verb: str) -> str | None:
    """Say what the model cannot do, in Ollama's words; None where it can do what is asked."""
    if "completion" not in model.capabilities:
        return f'"{ask.model}" does not support {verb}'
    if ask.tools and "tools" not in model.capabilities:
        return f"registry.ollama.ai/library/{model.tag} does not support tools"
    if ask.think and "thinking" not in model.capabilities:
        return f'"{ask.model}" does not support thinking'
    return None
