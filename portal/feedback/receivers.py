"""What judgements do when something happens below them: a migration ran, a visitor signed in."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models.signals import post_migrate
from django.dispatch import receiver

from portal.accounts.models import User
from portal.accounts.signals import visitor_became_user
from portal.feedback.apps import FeedbackConfig
from portal.feedback.seed import seed_questionnaires
from portal.feedback.services import give_submissions_to_user


@receiver(visitor_became_user, dispatch_uid="feedback.give_submissions")
def give_submissions(visitor: uuid.UUID, user: User, **kwargs: Any) -> None:
    give_submissions_to_user(visitor, user)


@receiver(post_migrate, dispatch_uid="feedback.seed_questionnaires")
def seed_after_migrating(sender: Any, plan: Any = None, **kwargs: Any) -> None:
    """Every migrated database has the questionnaires, a test's included; `plan` tells a rollback to zero apart."""
    if isinstance(sender, FeedbackConfig) and not any(backwards for _migration, backwards in plan or ()):
        seed_questionnaires()
