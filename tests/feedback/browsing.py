"""A Chromium signed in as somebody, in front of the test's own server, whose console has to stay empty."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext

from tests.browser.visitor import hear_complaints
from tests.services.chromium import chromium


@contextlib.contextmanager
def browsing(server_url: str, client: Client | None = None, **options: object) -> Iterator[BrowserContext]:
    """The browser context has the session of `client`."""
    context = chromium().new_context(base_url=server_url, **options)  # type: ignore[arg-type]
    try:
        context.set_default_timeout(30_000)
        complaints = hear_complaints(context)
        if client is not None:
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": server_url}])
        yield context
    finally:
        context.close()
    # htmx's own word for a request that found no network.
    complaints = [each for each in complaints if not each.startswith("htmx:afterRequest")]
    assert complaints == [], complaints
