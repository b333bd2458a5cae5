"""Known limitations: made of accepted reports, changed, seen by others too; their contributors hear of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.accounts.models import User
from portal.catalog.following import record_card_event
from portal.catalog.models import EventKind, ModelCard
from portal.feedback.models import Submission
from portal.reviews.models import Limitation, LimitationReport, MeToo, ReproductionRun
from portal.reviews.models.history import record_event
from portal.reviews.models.limitations import LimitationState
from portal.reviews.queries.limitations import free_reports
from portal.reviews.services.telling import tell_reporters
from portal.reviews.signals import limitation_changed

RATE_NAME: Final = "me-too"
_CHANGEABLE: Final = ("title", "description", "severity", "state", "mitigated_in")


class LimitationChanged(Exception):
    """Somebody else wrote to the limitation since the form was loaded."""


def make_limitation(maintainer: User, card: ModelCard, submission_ids: Iterable[str], **values: Any) -> Limitation:
    """Out of accepted reports about this card that stand for no other limitation; each one's run reproduces it.

    Raises ValidationError when a report is none of these, or when there is none.
    """
    ids = set(submission_ids)
    with transaction.atomic():
        submissions = list(free_reports(card).filter(pk__in=ids).select_for_update(of=("self",)))
        if not submissions or len(submissions) != len(ids):
            raise ValidationError(
                {"reports": [_("Choose accepted reports about this card that belong to no other limitation.")]}
            )
        limitation = Limitation.objects.create(card=card, created_by=maintainer, **values)
        _add(maintainer, limitation, submissions)
        record_event(limitation, "made", maintainer, title=limitation.title, reports=len(submissions))
        text = _("What you reported is now a known limitation: “%(title)s”.") % {"title": limitation.title}
        tell_reporters(limitation, text)
        address = limitation.get_absolute_url()
        record_card_event(
            card, EventKind.LIMITATION, str(limitation.pk), title=limitation.title, address=address, by=maintainer
        )
        limitation_changed.send(sender=Limitation, limitation=limitation, is_new=True)
    return limitation


def change_limitation(maintainer: User, limitation: Limitation, expected_version: int, **values: Any) -> bool:
    """Write what differs and tell its contributors of a new state. False when nothing differs.

    Raises LimitationChanged when somebody else wrote since `expected_version`.
    """
    changes = {
        name: value for name, value in values.items() if name in _CHANGEABLE and getattr(limitation, name) != value
    }
    if not changes:
        return False
    with transaction.atomic():
        before = {name: str(getattr(limitation, name)) for name in changes}
        if not limitation.change(expected_version, **changes):
            raise LimitationChanged
        limitation.refresh_from_db()
        record_event(
            limitation,
            "changed",
            maintainer,
            **{name: [before[name][:200], str(getattr(limitation, name))[:200]] for name in changes},
        )
        if "state" in changes:
            tell_reporters(limitation, _news(limitation))
        limitation_changed.send(sender=Limitation, limitation=limitation, is_new=False)
    return True


def say_me_too(actor: Actor, limitation: Limitation) -> bool:
    """Somebody saw it too. False when they had said so. Raises LimitExceeded, and ValueError for a stranger."""
    check_rate(actor, RATE_NAME, settings.FEEDBACK_RATE)
    try:
        with transaction.atomic():
            MeToo.objects.create(limitation=limitation, **actor.ownership())
    except IntegrityError:
        return False
    return True


def _add(maintainer: User, limitation: Limitation, submissions: Iterable[Submission]) -> None:
    for submission in submissions:
        LimitationReport.objects.create(limitation=limitation, submission=submission, added_by=maintainer)
        if submission.generation_id is not None:
            ReproductionRun.objects.get_or_create(
                limitation=limitation, generation_id=submission.generation_id, defaults={"added_by": maintainer}
            )


def _news(limitation: Limitation) -> str:
    title = {"title": limitation.title}
    match limitation.state:
        case LimitationState.MITIGATED:
            variant = limitation.mitigated_in
            return _("“%(title)s” is mitigated in %(variant)s.") % {
                **title,
                "variant": variant.model_id if variant else "",
            }
        case LimitationState.CONFIRMED:
            return _("“%(title)s”, which you reported, is confirmed.") % title
        case LimitationState.WONT_FIX:
            return _("“%(title)s”, which you reported, will not be fixed.") % title
        case _:
            return _("“%(title)s”, which you reported, is open again.") % title
