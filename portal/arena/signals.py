"""What the arena tells the apps above it, which it cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `vote_changed.send(sender=Vote, vote=<Vote>)` inside the transaction that voids a vote, counts it again or
# records what reviewers made of it.
vote_changed: Final = Signal()
