"""Run open-weight language models: a plain library without Django, Celery or Redis.

`SamplingParams` and `GenerationRequest` go in, `events` come out, an `Engine` is what turns one into the other.
Importing this package loads neither torch nor transformers; only the modules that run weights do.
"""
