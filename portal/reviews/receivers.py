"""What the review database does when something happens below it: a migration ran, a submission was given or changed."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_migrate
from django.dispatch import receiver

from portal.feedback.models import Submission
from portal.feedback.signals import submission_changed
from portal.reviews.apps import ReviewsConfig
from portal.reviews.seed import seed_policy
from portal.reviews.services.entering import follow_submission


@receiver(post_migrate, dispatch_uid="reviews.seed_policy")
def seed_after_migrating(sender: Any, plan: Any = None, **kwargs: Any) -> None:
    if isinstance(sender, ReviewsConfig) and not any(backwards for _migration, backwards in plan or ()):
        seed_policy()


@receiver(submission_changed, dispatch_uid="reviews.follow_submission")
def follow(submission: Submission, **kwargs: Any) -> None:
    follow_submission(submission)
