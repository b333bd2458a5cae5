"""What the review database tells the apps above it, which it cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `verdict_changed.send(sender=ReviewItem, item=<ReviewItem>, before=<outcome or "">)` inside the transaction in
# which an item was decided, decided otherwise, or opened again.
verdict_changed: Final = Signal()

# Sent as `limitation_changed.send(sender=Limitation, limitation=<Limitation>, is_new=<bool>)` inside the transaction
# that made or changed a known limitation.
limitation_changed: Final = Signal()
