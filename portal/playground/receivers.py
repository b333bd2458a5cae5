"""What the playground does when somebody signs in: their anonymous conversations and presets become theirs."""

from __future__ import annotations

import uuid
from typing import Any

from django.dispatch import receiver

from portal.accounts.models import User
from portal.accounts.signals import visitor_became_user
from portal.playground.models import Conversation
from portal.playground.presets import give_presets_to_user


@receiver(visitor_became_user, dispatch_uid="playground.give_conversations")
def give_conversations(sender: Any, visitor: uuid.UUID, user: User, **kwargs: Any) -> None:
    Conversation.objects.filter(visitor=visitor).update(owner=user, visitor=None)
    give_presets_to_user(visitor, user)
