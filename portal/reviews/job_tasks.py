"""What the review database leaves to workers: replays go on when there is room."""

from __future__ import annotations

from portal.accounts.worker_rounds import repeat_in_workers
from portal.reviews.services.replays import continue_replays

# Two workers at once start each run once.
repeat_in_workers("continue-replays", 10.0, continue_replays)
