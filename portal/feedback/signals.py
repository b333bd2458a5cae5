"""What feedback tells the apps above it, which it cannot import."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent as `submission_changed.send(sender=Submission, submission=<Submission>)` inside the transaction that gave,
# changed or withdrew a submission, when its row and its answers are written. A receiver that raises undoes both.
submission_changed: Final = Signal()

# Sent likewise, inside the transaction that moved a submission to another state of review.
submission_reviewed: Final = Signal()
