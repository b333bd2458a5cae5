"""Which visitors a browser may still come back as: those whose key is in a session that is not over."""

from __future__ import annotations

import uuid
from importlib import import_module
from typing import Any

from django.conf import settings
from django.utils import timezone

from portal.accounts.actors import VISITOR_SESSION_KEY


def living_visitors() -> set[uuid.UUID]:
    """Their keys. They stand inside the sessions, so every living one is read."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    living = store.get_model_class().objects.filter(expire_date__gt=timezone.now())
    keys = (
        store.decode(data).get(VISITOR_SESSION_KEY) for data in living.values_list("session_data", flat=True).iterator()
    )
    return {uuid.UUID(key) for key in keys if key}
