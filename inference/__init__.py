"""Run open-weight language models: a plain library without Django, Celery or Redis.

`SamplingParams` and `GenerationRequest` go in, `events` come out, an `Engine` is what turns one into the other.
Importing this package loads neither torch nor transformers; only the modules that run weights do.
"""

import os

# OpenMP's threads by default spin for long while they wait for one another. On a machine that does anything else
# besides, they spin in the time slice that the other one needs. Never to spin costs a wake-up per operation. A short
# spin is as fast as any on idle cores and stays fast on busy ones (2 cores, step of a batch of 8, median ms):
#   spins     300,000   2,000     0
#   idle           17      17    27
#   busy          216      77    92   (and 650 under heavier load, where passive waiting took 26)
# libgomp reads these when torch is loaded, so they must be set before that; whoever sets them otherwise is right.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
