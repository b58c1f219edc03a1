"""The child process: llama.cpp's own HTTP server, in this interpreter, until standard input ends.

Run as `python -m junto.providers.llama_cpp.server`, with a JSON object of settings on the first line of standard input. The
pipe is the leash: when the parent is gone, however it went, the read returns and the process ends.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Serve until the leash is cut."""
    settings = json.loads(sys.stdin.readline())
    import xllamacpp  # noqa: PLC0415  the parent must not load the engine

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = settings["port"]
    params.api_keys = [settings["api_key"]]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    if settings["temperature"] is not None:
        params.sampling.temp = settings["temperature"]
    if settings["longest_answer"] is not None:
        params.n_predict = settings["longest_answer"]
    if settings["template"] is not None:
        params.use_jinja = True
        params.chat_template = settings["template"]
    params.verbosity = 0
    params.endpoint_metrics = False
    params.cache_ram_mib = 0
    params.embedding = settings["embedding"]
    server = xllamacpp.Server(params)
    sys.stdin.read()
    del server
    os._exit(0)  # the engine's threads would otherwise delay the end


if __name__ == "__main__":
    main()
