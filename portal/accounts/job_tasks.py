"""What accounts leave to workers: sessions that are over go, and with them which visitor was who."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from django.conf import settings

from portal.accounts.worker_rounds import repeat_in_workers

FORGET_EVERY_S: Final = 3_600.0


def forget_sessions() -> None:
    """Delete the sessions that have expired, as `manage.py clearsessions` does."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


repeat_in_workers("forget-sessions", FORGET_EVERY_S, forget_sessions)
