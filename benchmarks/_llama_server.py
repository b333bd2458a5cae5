"""llama.cpp's server out of the `xllamacpp` wheel, started like `llama-server`: for portal_throughput --llama-server.

    python -m pip install xllamacpp
    python -m benchmarks._llama_server --model FILE.gguf --port 8080 --parallel 8 --threads 2

The same C++ server as the program's, for machines on which nobody compiled it. Ends with its process.
"""

from __future__ import annotations

import argparse
import importlib
import threading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--parallel", type=int, default=1, help="slots")
    parser.add_argument("--ctx-size", type=int, default=4096, help="tokens of all slots together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-webui", action="store_true", help="no page of its own, which is so in any case")
    options = parser.parse_args()
    # Not among the project's own dependencies: without it this program has nothing to start.
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.hostnames, params.port = options.model, [options.host], options.port
    params.n_parallel, params.n_ctx, params.ui = options.parallel, options.ctx_size, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    print(xllamacpp.get_system_info(), flush=True)
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
