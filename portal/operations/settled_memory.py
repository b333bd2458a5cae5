"""What a web process has loaded stays until it ends, so Python's collector need not look through it again and again."""

from __future__ import annotations

import gc

from django.urls import get_resolver


def settle_memory() -> None:
    """Load all addresses, which is everything that views stand on, and set it aside for good.

    Whole passes of the collector would walk it otherwise, in the middle of somebody's request: some 60 ms on an idle
    core, where most pages take 20.
    """
    get_resolver().reverse_dict  # noqa: B018 - what loads every module of addresses, nested ones too
    gc.collect()
    gc.freeze()
