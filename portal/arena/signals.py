"""What the arena tells the apps above it, which it cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `vote_given.send(sender=Vote, vote=<Vote>)` inside the transaction that stored a new vote. A receiver that
# raises undoes it.
vote_given: Final = Signal()

# Sent likewise inside the transaction that voids a vote, counts it again, withdraws it, or records what reviewers made
# of it.
vote_changed: Final = Signal()
