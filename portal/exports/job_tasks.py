"""What workers look for again and again in the exports: changes that a dump brought along."""

from __future__ import annotations

from typing import Final

from portal.accounts.worker_rounds import repeat_in_workers
from portal.exports.change_feed import settle_after_a_restore

# A server counts transactions while nobody reads, if only those of its workers' pulses.
SETTLE_EVERY_S: Final = 60.0

repeat_in_workers("settle-changes", SETTLE_EVERY_S, settle_after_a_restore)
