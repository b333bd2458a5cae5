"""What runs ask of the apps above them, which they cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `runs_kept_apart.send(sender=Actor, actor=<Actor>)` when an actor's runs are counted. A receiver returns the
# visitors' ids, as a query, under which it keeps more runs of this actor, out of their reach; None where it keeps none.
runs_kept_apart: Final = Signal()
