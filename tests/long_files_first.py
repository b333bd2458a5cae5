"""Files that start processes come first: they are the longest, and at the end one process would be alone with them."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After pytest-django's own order, which stays within a file."""
    is_long = {
        item.path for item in items if item.get_closest_marker("processes") or item.get_closest_marker("browser")
    }
    items.sort(key=lambda item: item.path not in is_long)
