"""What accounts tell the apps above them, which they cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `visitor_became_user.send(sender=User, visitor=<uuid.UUID>, user=<User>)` inside one transaction, when a
# person signs in at a browser where an anonymous visitor has worked. Receivers give the visitor's rows to the user,
# `owner=user, visitor=None`, in one UPDATE each. One that raises keeps the person from being signed in, and nothing
# is moved.
visitor_became_user: Final = Signal()
