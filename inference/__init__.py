"""Run open-weight language models: a plain library without Django, Celery or Redis.

`SamplingParams` and `GenerationRequest` go in, `events` come out, an `Engine` is what turns one into the other.
Importing this package loads neither torch nor transformers; only the modules that run weights do.
"""

import os

# OpenMP's threads by default spin for long while they wait for one another. On a machine that does anything else
# besides, they spin in the time slice that the other one needs: steps of 430 to 1,400 ms beside 18 to 27 ms without
# spinning, in turns on 2 cores that other programs kept busy. Never to spin costs a wake-up per operation, which a
# spin of a fraction of a millisecond avoids.
# ACTIVE is for libgomp's other case: once its threads outnumber the cores, as they do while two engines are at work, it
# spins 1,000 times under ACTIVE and not at all under PASSIVE.
# libgomp reads these when torch is loaded, so they must be set before that; whoever sets them otherwise is right.
os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")

# oneDNN and torch each keep what they prepared for a product of one shape, 1,024 of them unless told otherwise: half a
# megabyte each, which lie between the blocks of ever longer contexts, so that the heap cannot use those again. In
# bfloat16 the scores of 1,600 contexts, each a little longer than the one before, left a process with 5.9 GB; with
# this it was 0.3 to 0.8. An engine on a small gpt-oss of 2 layers, 16 answers at once, came to 1.5 GB in a minute, and
# comes to 0.7, as fast. A small Mixtral, whose experts have other numbers of rows in each step, takes an eighth longer.
# Read at the first product; whoever sets them otherwise, by oneDNN's old name too, is right.
if "DNNL_PRIMITIVE_CACHE_CAPACITY" not in os.environ:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
