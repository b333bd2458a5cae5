"""What contributors hear of their submissions: a row each, which their page shows and mail is made of."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from portal.arena.models import Vote
from portal.feedback.models import Submission
from portal.reviews.models import Limitation, Notice, ReviewItem
from portal.reviews.models.queue import Subject
from portal.reviews.settling import Verdict


def tell_contributor(subject: Subject, item: ReviewItem) -> None:
    """That a verdict was reached; an anonymous visitor reads it where what they gave stands."""
    if subject.owner_id is None:
        return
    if isinstance(subject, Vote):
        _tell_voter(subject.owner_id, subject, item)
        return
    match item.outcome:
        case Verdict.ACCEPT:
            text = _("Your judgement was accepted.")
        case Verdict.DUPLICATE:
            text = _("Your judgement was accepted as one of several that say the same.")
        case _:
            text = _("Your judgement was reviewed and not accepted. Your contributions page says why.")
    # And not its place in a list of pages, which changes with all that they give after it.
    url = reverse("feedback:contribution", args=[subject.pk])
    Notice.objects.create(owner_id=subject.owner_id, item=item, text=text, url=url)


def _tell_voter(owner_id: int, vote: Vote, item: ReviewItem) -> None:
    if item.outcome in {Verdict.ACCEPT, Verdict.DUPLICATE}:
        text = _("Your vote was accepted.")
    else:
        text = _("Your vote was reviewed and not accepted. Its page says why.")
    url = vote.comparison.get_absolute_url() if vote.comparison is not None else reverse("feedback:contributions")
    Notice.objects.create(owner_id=owner_id, item=item, text=text, url=url)


def tell_reporters(limitation: Limitation, text: str) -> int:
    """Something happened to a limitation: whoever's report is part of it hears of it once."""
    owners = (
        Submission.objects.filter(
            limitation_report__limitation=limitation, owner__isnull=False, withdrawn_at__isnull=True
        )
        .order_by()
        .values_list("owner_id", flat=True)
        .distinct()
    )
    notices = [Notice(owner_id=owner, text=text[:300], url=limitation.get_absolute_url()) for owner in owners]
    Notice.objects.bulk_create(notices)
    return len(notices)
