"""What changes at a card's gate: its kind, requests, and the answers to them."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.accounts.models import User
from portal.catalog.card_text import parse_card
from portal.catalog.gate_terms import GateTerms, describe_gate
from portal.catalog.mailing import dispatch_soon
from portal.catalog.models import OPEN_STATES, REFUSED_STATES, AccessRequest, AccessState, EventMail, Gate, ModelCard

ACCESS_RATE: Final = "20/hour"


def set_gate(card: ModelCard, gate: Gate) -> None:
    """Change who may run the card's model, from the next run on. What was granted before stays granted."""
    card.gate = gate
    card.save(update_fields=["gate"])


def gate_terms_of(card: ModelCard) -> GateTerms:
    """What the card's current text asks of somebody who wants access, in the order that it is written in.

    PostgreSQL keeps no order of an object's members, so the metadata alone would mix the questions up.
    """
    revision = card.current_revision
    if revision is None:
        return describe_gate({})
    try:
        written = parse_card(revision.text).metadata.get("extra_gated_fields")
    except ValidationError:
        written = None
    return describe_gate(revision.metadata | ({"extra_gated_fields": written} if written else {}))


def request_access(card: ModelCard, user: User, answers: dict[str, Any]) -> AccessRequest:
    """Ask to run a card's model; who waits or has access already gets that request back, unchanged.

    An agreement grants at once, unless a maintainer's last word to this person was no: then a maintainer answers.
    Raises LimitExceeded, and ValidationError where nothing has to be asked.
    """
    if card.gate == Gate.OPEN:
        raise ValidationError(_("This model is open: everybody runs it without asking."))
    if (earlier := current_request(card, user)) is not None:
        return earlier
    check_rate(Actor(user=user), "access", ACCESS_RATE)
    terms = gate_terms_of(card)
    last = card.access_requests.filter(user=user).order_by("-created_at", "-pk").first()
    was_refused = last is not None and last.state in REFUSED_STATES
    try:
        with transaction.atomic():
            asked = AccessRequest.objects.create(card=card, user=user, answers=answers, terms=terms.prompt)
            if card.gate == Gate.AGREEMENT and not was_refused:
                asked.grant(by=None)
    except IntegrityError:
        # The same form sent twice at once.
        if (earlier := current_request(card, user)) is None:
            raise
        return earlier
    return asked


def current_request(card: ModelCard, user: User) -> AccessRequest | None:
    """The request that waits or is granted; None for somebody who may ask (again)."""
    return card.access_requests.filter(user=user, state__in=OPEN_STATES).first()


def grant_access(card: ModelCard, user: User, by: User) -> AccessRequest:
    """Let somebody in, whether or not they asked. Granting twice changes nothing."""
    with transaction.atomic():
        ModelCard.objects.select_for_update().get(pk=card.pk)
        waiting = current_request(card, user)
        if waiting is None:
            waiting = AccessRequest.objects.create(card=card, user=user)
        if waiting.grant(by):
            _tell_decision(waiting, by)
    return waiting


def answer_request(request: AccessRequest, action: str, by: User, reason: str = "") -> AccessState:
    """Grant, decline or revoke; what somebody else decided meanwhile stays. Returns the state that it has now.

    Raises ValidationError for an action that does not fit the request's state.
    """
    actions = {
        "grant": lambda: request.grant(by),
        "decline": lambda: request.decline(by, reason),
        "revoke": lambda: request.revoke(by, reason),
    }
    with transaction.atomic():
        is_decided = action in actions and actions[action]()
        if is_decided:
            _tell_decision(request, by)
    if not is_decided:
        request.refresh_from_db()
        state = AccessState(request.state).label
        raise ValidationError(
            _("That does not fit any more: %(user)s's request is “%(state)s” now.")
            % {"user": request.user, "state": state}
        )
    return AccessState(request.state)


def _tell_decision(request: AccessRequest, by: User) -> None:
    """Put a mail to the person into the outbox, unless the decision was their own."""
    if request.user_id == by.pk or not request.user.email:
        return
    EventMail.objects.create(access_request=request, decision=request.state, user_id=request.user_id)
    dispatch_soon()
