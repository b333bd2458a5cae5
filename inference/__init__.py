"""Run open-weight language models: a plain library without Django, Celery or Redis.

`SamplingParams` and `GenerationRequest` go in, `events` come out, an `Engine` is what turns one into the other.
Importing this package loads neither torch nor transformers; only the modules that run weights do.
"""

import os

# OpenMP's threads by default spin while they wait for one another. On a machine that does anything else besides, they
# spin in the time slice that the other one needs: a step of 26 ms took 650 ms on 2 busy cores, and is no faster on idle
# ones. libgomp reads this when torch is loaded, so it must be set before that; whoever sets it otherwise is right.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
