"""What the review database does when something happens below it: a migration ran, something was given or changed."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model
from django.db.models.signals import post_delete, post_migrate, post_save, pre_save
from django.dispatch import receiver

from portal.accounts.models import User
from portal.arena.models import Vote
from portal.arena.signals import vote_changed, vote_given
from portal.catalog.models import CardRevision, ModelCard, Variant
from portal.feedback.models import Campaign, Question, Questionnaire, Submission
from portal.feedback.signals import submission_changed
from portal.reviews.acting import acting_user
from portal.reviews.apps import ReviewsConfig
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.seed import seed_policy
from portal.reviews.services.abuse import require_not_blocked
from portal.reviews.services.entering import enter_queue, follow_submission, follow_withdrawal
from portal.reviews.told_values import plain_words

# Changed one row at a time and through `save`; what changes by UPDATE records its own history where it does.
RECORDED: Final = (ModelCard, CardRevision, Variant, Questionnaire, Question, Campaign)
MAX_CHARACTERS: Final = 200
MOST_KEYS: Final = 40
# Remembered so that unchanged weights are not read again; says nothing that `digests` do not.
NOT_TOLD: Final = frozenset({"file_stamps"})


@receiver(post_migrate, dispatch_uid="reviews.seed_policy")
def seed_after_migrating(sender: Any, plan: Any = None, **kwargs: Any) -> None:
    if isinstance(sender, ReviewsConfig) and not any(backwards for _migration, backwards in plan or ()):
        seed_policy()


@receiver(submission_changed, dispatch_uid="reviews.follow_submission")
def follow(submission: Submission, **kwargs: Any) -> None:
    require_not_blocked(submission)
    action = "withdrawn" if submission.is_withdrawn else "given" if submission.version == 1 else "changed"
    record_event(submission, action, _doer(submission), version=submission.version)
    follow_submission(submission)


@receiver(vote_given, dispatch_uid="reviews.follow_vote")
def follow_vote(vote: Vote, **kwargs: Any) -> None:
    require_not_blocked(vote)
    record_event(vote, "given", _doer(vote))
    enter_queue(vote)


@receiver(vote_changed, dispatch_uid="reviews.follow_withdrawn_vote")
def follow_changed_vote(vote: Vote, **kwargs: Any) -> None:
    if vote.is_withdrawn:
        record_event(vote, "withdrawn", _doer(vote))
        follow_withdrawal(vote)


def _doer(subject: Subject) -> User | None:
    """Whose it is, unless somebody else does it for them."""
    person = acting_user() or subject.owner
    return person if isinstance(person, User) else None


def _remember(sender: type[Model], instance: Model, raw: bool, **kwargs: Any) -> None:
    """What the row says before it is written, for `_record` to compare."""
    is_new = raw or instance._state.adding  # noqa: SLF001
    before = None if is_new else sender._base_manager.filter(pk=instance.pk).values().first()  # noqa: SLF001
    instance.before_change = before  # type: ignore[attr-defined]


def _record(sender: type[Model], instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if raw:
        return
    before = getattr(instance, "before_change", None)
    if created or before is None:
        record_event(instance, "added", acting_user(), name=str(instance)[:MAX_CHARACTERS])
        return
    names = {field.attname for field in sender._meta.concrete_fields} - NOT_TOLD  # noqa: SLF001
    changes: dict[str, list[str]] = {}
    for name in sorted(names):
        changes |= _change(name, before[name], getattr(instance, name))
    if changes:
        record_event(instance, "changed", acting_user(), **changes)


def _change(name: str, before: object, after: object) -> dict[str, list[str]]:
    """What a column said and says, where that differs; of a mapping, each of its keys by itself."""
    if before == after:
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        return {f"{name}.{key}": [_short(before.get(key)), _short(after.get(key))] for key in keys[:MOST_KEYS]}
    return {name: [_short(before), _short(after)]}


def _record_deletion(sender: type[Model], instance: Model, **kwargs: Any) -> None:
    record_event(instance, "deleted", acting_user(), name=str(instance)[:MAX_CHARACTERS])


def _short(value: object) -> str:
    text = plain_words(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


for model in RECORDED:
    label = model._meta.label_lower  # noqa: SLF001
    pre_save.connect(_remember, sender=model, dispatch_uid=f"reviews.remember.{label}")
    post_save.connect(_record, sender=model, dispatch_uid=f"reviews.record.{label}")
    post_delete.connect(_record_deletion, sender=model, dispatch_uid=f"reviews.record_deletion.{label}")
