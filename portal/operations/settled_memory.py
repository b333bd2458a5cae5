"""What a web process has loaded stays until it ends, so Python's collector need not look through it again and again."""

from __future__ import annotations

import gc

from django.urls import get_resolver


def settle_memory() -> None:
    """Load all addresses, which is everything that views stand on, and set it aside for good.

    Whole passes of the collector would walk it otherwise, in the middle of somebody's request.
    """
    _ = get_resolver().reverse_dict
    gc.collect()
    gc.freeze()
