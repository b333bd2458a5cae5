"""Load or 404: what is not the actor's own does not exist for them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.http import Http404

from portal.accounts.actors import Actor
from portal.playground.models import Conversation, Generation


def get_conversation(actor: Actor, conversation_id: uuid.UUID, *, for_update: bool = False) -> Conversation:
    """The actor's own conversation; `for_update` locks it to the end of the transaction."""
    own = Conversation.objects.filter(actor.owns(), pk=conversation_id, deleted_at__isnull=True)
    conversation = (own.select_for_update() if for_update else own).first()
    if conversation is None:
        raise Http404
    return conversation


def get_generation(actor: Actor, generation_id: uuid.UUID, *, without: Sequence[str] = ()) -> Generation:
    """The actor's own generation, with its conversation, variant and card, and not loaded yet the columns `without`."""
    own = Conversation.objects.filter(actor.owns(), deleted_at__isnull=True)
    generation = (
        Generation.objects.select_related("conversation", "variant__card")
        .defer(*without)
        .filter(pk=generation_id, conversation__in=own)
        .first()
    )
    if generation is None:
        raise Http404
    return generation


def get_deleted_conversation(actor: Actor, conversation_id: uuid.UUID) -> Conversation:
    """The actor's own conversation that was deleted and can still be restored."""
    conversation = Conversation.objects.filter(actor.owns(), pk=conversation_id, deleted_at__isnull=False).first()
    if conversation is None:
        raise Http404
    return conversation
