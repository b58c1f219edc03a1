"""What a child process is told of the environment: how to find Python and its words, and nothing that Junto was told in secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED_ON = frozenset(
    {
        "PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "LD_LIBRARY_PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "SYSTEMROOT",
    }
)
_NOWHERE = "http://127.0.0.1:1"  # a proxy that is not there: what asks for a download is refused at once

_OF_ITS_OWN = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "http_proxy": _NOWHERE,
    "https_proxy": _NOWHERE,
    "all_proxy": _NOWHERE,
}


def for_child(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of an engine's process, made from Junto's own."""
    return {name: value for name, value in environment.items() if name.upper() in _PASSED_ON} | _OF_ITS_OWN
