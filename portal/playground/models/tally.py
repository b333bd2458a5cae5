"""What ended runs add up to. Rows of runs are purged, and there may be millions: no counter reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import Variant

# Upper edges of the classes of time, in seconds; the last class has none. Rows know a class by its index, so that
# another list of edges takes a migration.
EDGES_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
# The class of a run in which it was not measured: one that was never claimed, or that wrote nothing.
UNMEASURED: Final = -1
# An upstream may name any number of tokens; more than these in one run are none that anybody wrote.
MOST_TOKENS: Final = 10**9
# What is told apart, and what is added up.
KEY: Final = ("variant_id", "state", "error_code", "queue_class", "first_token_class")
SUMS: Final = ("runs", "prompt_tokens", "completion_tokens", "queue_ms", "first_token_ms")


class RunTally(models.Model):
    """Ended runs of one kind, added up. Each run that ends adds a row, which waits for no other; the sweep folds them.

    So the sum over all rows is right at every moment, and never smaller than before.
    """

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="+")
    # A final State.
    state = models.CharField(_("state"), max_length=10)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    # Of the seconds from being asked for to a worker's claim, and to the first token: the index of the class in
    # EDGES_S; len(EDGES_S) is beyond all of them.
    queue_class = models.SmallIntegerField(default=UNMEASURED)
    first_token_class = models.SmallIntegerField(default=UNMEASURED)
    is_folded = models.BooleanField(default=False)

    runs = models.BigIntegerField(default=1)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    # Whole numbers: a sum of fractions depends on their order, and would shrink by a hair when it is folded.
    queue_ms = models.BigIntegerField(default=0)
    first_token_ms = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("tally of runs")
        verbose_name_plural = _("tallies of runs")
        constraints = [
            models.UniqueConstraint(
                fields=["variant", "state", "error_code", "queue_class", "first_token_class"],
                condition=Q(is_folded=True),
                name="run_tally_folded_once",
            )
        ]
        indexes = [models.Index(fields=["id"], condition=Q(is_folded=False), name="run_tally_fresh")]

    def __str__(self) -> str:
        return f"{self.variant_id} {self.state}: {self.runs}"

    @classmethod
    def of_one(cls, variant_id: int, state: str, result: Mapping[str, Any]) -> Self:
        """One run that ended, out of the columns of its result; not saved."""
        usage, timings = result.get("usage", {}), result.get("timings", {})
        queue_s, first_token_s = timings.get("queue_s"), timings.get("first_token_s")
        return cls(
            variant_id=variant_id,
            state=state,
            error_code=result.get("error_code", ""),
            queue_class=time_class(queue_s),
            first_token_class=time_class(first_token_s),
            prompt_tokens=_tokens(usage.get("prompt_tokens", 0)),
            completion_tokens=_tokens(usage.get("completion_tokens", 0)),
            queue_ms=_milliseconds(queue_s),
            first_token_ms=_milliseconds(first_token_s),
        )


def time_class(seconds: float | None) -> int:
    """The index of the class in EDGES_S, whose edges belong to the class below them."""
    return UNMEASURED if seconds is None else bisect_left(EDGES_S, seconds)


def _tokens(number: int) -> int:
    return min(max(0, number), MOST_TOKENS)


def _milliseconds(seconds: float | None) -> int:
    # A clock that was set back meanwhile must not make a sum smaller.
    return max(0, round(1000 * seconds)) if seconds is not None else 0
