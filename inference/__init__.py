"""Run open-weight language models: a plain library without Django, Celery or Redis.

`SamplingParams` and `GenerationRequest` go in, `events` come out, an `Engine` is what turns one into the other.
Importing this package loads neither torch nor transformers; only the modules that run weights do.
"""

import os

# OpenMP's threads by default spin for long while they wait for one another. On a machine that does anything else
# besides, they spin in the time slice that the other one needs: steps of 430 to 1,400 ms beside 18 to 27 ms without
# spinning, in turns on 2 cores that other programs kept busy. Never to spin costs a wake-up per operation (22 to 26 ms
# beside 14 on idle cores), which a short spin avoids.
# Not settled: those idle numbers are of a process with one thread pool. libgomp shortens the spin by itself once its
# threads outnumber the cores, and an engine loaded in one thread and run in another has two pools: 15 to 21 ms there.
# How many spins are best on busy cores is not known either; single runs contradicted one another.
# libgomp reads these when torch is loaded, so they must be set before that; whoever sets them otherwise is right.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
