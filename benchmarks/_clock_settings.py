"""The product's settings with the engine of benchmarks.viewers."""

from __future__ import annotations

from portal.settings import *  # noqa: F403
from portal.settings import ENGINE_BACKENDS

ENGINE_BACKENDS["scripted"] = "benchmarks._clock_engine.clock_engine"
