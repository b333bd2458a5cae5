"""What stands around the queue's list: choices of its filters, how much is open, saved views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User
from portal.catalog.models import ModelCard, Variant
from portal.feedback.models import Campaign, Questionnaire
from portal.reviews.models import ReviewItem, SavedView
from portal.reviews.models.counts import HOURS
from portal.reviews.queries.entry import VOTE_FORMS, vote_form_name
from portal.reviews.queries.filters import ABOUT, QueueFilters
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.settling import DECISIVE_VERDICTS, ItemState, Reason, Verdict

# Beyond this a list says "10,000+": a full count costs more than all else on the page.
COUNTED: Final = 10_000
MATCHES_COUNTED: Final = 1_000
_CHOICES: Final = 200


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    label: Any
    options: list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class OpenCounts:
    """How many wait in each open state, counted no further than COUNTED; and how many are held right now."""

    waiting: int
    question: int
    adjudication: int
    held: int

    @property
    def is_bounded(self) -> bool:
        return max(self.waiting, self.question, self.adjudication) == COUNTED


def open_counts(reader: ItemReader) -> OpenCounts:
    def count(items: QuerySet[ReviewItem]) -> int:
        return items.order_by()[:COUNTED].count()

    held = ReviewItem.objects.filter(claimed_by__isnull=False, claim_expires_at__gt=timezone.now())
    waiting, beside = reader.fitting(QueueFilters(state=ItemState.WAITING))
    return OpenCounts(
        waiting=min(count(waiting) + count(beside), COUNTED),
        question=count(ReviewItem.objects.filter(state=ItemState.QUESTION)),
        adjudication=count(ReviewItem.objects.filter(state=ItemState.ADJUDICATION)),
        held=count(held),
    )


@dataclass(frozen=True, slots=True)
class Matches:
    """How many items fit, counted no further than MATCHES_COUNTED."""

    count: int
    is_bounded: bool


def matches(reader: ItemReader, filters: QueueFilters) -> Matches:
    found = sum(items.order_by()[: MATCHES_COUNTED + 1].count() for items in reader.fitting(filters))
    return Matches(min(found, MATCHES_COUNTED), is_bounded=found > MATCHES_COUNTED)


def filter_choices(filters: QueueFilters) -> list[Choice]:
    """The filters as fields, with what is chosen; of cards, variants and campaigns the first 200."""
    cards = ModelCard.objects.order_by("owner_name", "slug")[:_CHOICES]
    variants = Variant.objects.select_related("card").order_by("card__owner_name", "card__slug", "position")[:_CHOICES]
    campaigns = Campaign.objects.order_by("slug").values_list("slug", "title")[:_CHOICES]
    current = Questionnaire.objects.filter(is_current=True).order_by("slug").values_list("slug", "title")
    questionnaires = [*current, *((slug, str(vote_form_name(slug))) for slug in VOTE_FORMS.values())]
    about = [(value, str(label)) for value, label in ABOUT.items()]
    states = [("open", str(_("Open: all that wait"))), *((state.value, str(state.label)) for state in ItemState)]
    outcomes = [(each.value, str(each.label)) for each in Verdict if each in DECISIVE_VERDICTS]
    variant = str(filters.variant or "")
    return [
        _choice("state", _("State"), states, filters.state),
        _choice("outcome", _("Outcome"), outcomes, filters.outcome),
        _choice("reason", _("Reason"), [(each.value, str(each.label)) for each in Reason], filters.reason),
        _choice("card", _("Card"), [(str(card.pk), card.name) for card in cards], str(filters.card or "")),
        _choice("variant", _("Variant"), [(str(each.pk), each.model_id) for each in variants], variant),
        _choice("campaign", _("Campaign"), list(campaigns), filters.campaign),
        _choice("about", _("About"), about, filters.about),
        _choice("questionnaire", _("Questionnaire"), questionnaires, filters.questionnaire),
        _choice("language", _("Language"), [(code, code) for code in languages()], filters.language),
        _choice("thumb", _("Thumb"), [("up", str(_("Up"))), ("down", str(_("Down")))], filters.thumb),
        _choice("took", _("Time to the verdict"), list(enumerate_times()), filters.took),
        _choice("signs", _("Abuse"), [("1", str(_("Shows signs of it")))], "1" if filters.signs else ""),
    ]  # fmt: skip


def enumerate_times() -> Iterator[tuple[str, str]]:
    """The classes of time from entering to the verdict: what the filter takes, and in words."""
    for place, hours in enumerate(HOURS):
        yield str(place), ngettext("up to %(hours)d hour", "up to %(hours)d hours", hours) % {"hours": hours}
    yield str(len(HOURS)), gettext("longer")


def saved_views(reviewer: User) -> QuerySet[SavedView]:
    """One's own and those that are for all."""
    return SavedView.objects.filter(Q(owner=reviewer) | Q(is_shared=True)).select_related("owner")[:50]


def languages() -> list[str]:
    """The languages of all items, by one step through the index for each instead of a million rows.

    Django has no recursive query. Both databases have it in these words, in which every name is ours.
    """
    table = connection.ops.quote_name(ReviewItem._meta.db_table)  # noqa: SLF001
    sql = f"""
        WITH RECURSIVE steps(language, number) AS (
            SELECT MIN(language), 1 FROM {table} WHERE language > ''
            UNION ALL
            SELECT (SELECT MIN(items.language) FROM {table} items WHERE items.language > steps.language), number + 1
            FROM steps WHERE steps.language IS NOT NULL AND number < {_CHOICES}
        )
        SELECT language FROM steps WHERE language IS NOT NULL
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [language for (language,) in cursor.fetchall()]


def _choice(name: str, label: Any, options: list[tuple[str, str]], chosen: str) -> Choice:
    return Choice(name, label, [(value, text, value == chosen) for value, text in options])
