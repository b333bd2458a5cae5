"""What contests do when something happens below them: a migration ran, a visitor signed in, a conversation went."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_migrate, pre_delete
from django.dispatch import receiver

from portal.accounts.actor_rows import RowsOfActor
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.signals import visitor_became_user
from portal.arena.apps import ArenaConfig
from portal.arena.models import Comparison, Contender, Contest, Vote
from portal.arena.seed import seed_pools
from portal.playground.models import Conversation
from portal.playground.signals import runs_kept_apart

_any_sealed: Final = RowsOfActor(
    lambda own: Contest.objects.filter(own, sealed_as__isnull=False).order_by().values_list("pk")[:1]
)


@receiver(visitor_became_user, dispatch_uid="arena.give_contests")
def give_contests(sender: Any, visitor: uuid.UUID, user: User, **kwargs: Any) -> None:
    for model in (Contest, Comparison, Vote):
        model._default_manager.filter(visitor=visitor).update(owner=user, visitor=None)  # noqa: SLF001  Django's name


@receiver(runs_kept_apart, dispatch_uid="arena.sealed_runs")
def sealed_runs(sender: Any, actor: Actor, **kwargs: Any) -> QuerySet[Any] | None:
    """The runs of a battle count from its first turn on, and not from the vote on."""
    if not _any_sealed(actor):
        return None
    return Contest.objects.filter(actor.owns(), sealed_as__isnull=False).order_by().values("sealed_as")


@receiver(post_delete, sender=Contender, dispatch_uid="arena.delete_remains")
def delete_remains(sender: Any, instance: Contender, **kwargs: Any) -> None:
    """A contest goes with the first of its conversations, and takes the others along; its vote stays."""
    Contest.objects.filter(pk=instance.contest_id).delete()
    Conversation.objects.filter(pk=instance.conversation_id).delete()


@receiver(pre_delete, sender=Comparison, dispatch_uid="arena.forget_network")
def forget_network(sender: Any, instance: Comparison, **kwargs: Any) -> None:
    """With the texts goes what could still say where the vote on them came from."""
    Vote.objects.filter(comparison=instance).exclude(network_digest="").update(network_digest="")


@receiver(post_migrate, dispatch_uid="arena.seed_pools")
def seed_after_migrating(sender: Any, plan: Any = None, **kwargs: Any) -> None:
    """Every migrated database has the pools, a test's included; `plan` tells a rollback to zero apart."""
    if isinstance(sender, ArenaConfig) and not any(backwards for _migration, backwards in plan or ()):
        seed_pools()
