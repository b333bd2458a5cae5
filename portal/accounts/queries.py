"""What is read about a person: their tokens, and what deleting their account would take along."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import ApiToken, User
from portal.accounts.roles import Role

# What people call their things here, by the labels of models, which are of layers above this one. What has
# no word is a part of one of these, such as a judgement's answers.
_PEOPLES_WORDS: Final = {
    "accounts.apitoken": _("API tokens"),
    "arena.contest": _("comparisons and battles"),
    "catalog.carddraft": _("drafts of cards"),
    "catalog.cardrevision": _("revisions of cards"),
    "feedback.submission": _("judgements"),
    "playground.conversation": _("conversations"),
    "playground.generation": _("runs"),
    "webhooks.endpoint": _("webhooks"),
}


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """A person's tokens, newest first, expired ones among them."""
    # `hint` needs the token's first characters, nothing needs the digest.
    tokens: QuerySet[ApiToken] = ApiToken.objects.filter(user=user).defer("digest")
    return tokens


def roles_of(user: User) -> list[Role]:
    """A person's roles, from the one that everybody has to the one that few have."""
    return [role for role in Role if role.value in user.role_names]


@dataclass(frozen=True, slots=True)
class DeletionSummary:
    """How many rows of which kind go, and how many stay without the person's name: (plural name, count).

    `deleted_parts` go too: rows that belong to one in `deleted` and that nobody knows by a name.
    """

    deleted: list[tuple[str, int]]
    deleted_parts: list[tuple[str, int]]
    kept_without_name: list[tuple[str, int]]


def deletion_summary(user: User) -> DeletionSummary:
    """What `delete_account` would do, by the collector that does it, so that the page cannot promise something else."""
    collector = Collector(using=DEFAULT_DB_ALIAS, origin=user)
    collector.collect([user])
    deleted: defaultdict[type[Model], set[Any]] = defaultdict(set)
    for model, instances in collector.data.items():
        deleted[model].update(instance.pk for instance in instances)
    for queryset in collector.fast_deletes:
        deleted[queryset.model].update(_keys(queryset))
    kept: defaultdict[type[Model], set[Any]] = defaultdict(set)
    for (field, _value), updates in collector.field_updates.items():
        for rows in cast("list[Iterable[Model]]", updates):  # lists and querysets, whatever the stubs say
            kept[field.model].update(_keys(rows))
    for model in kept:
        # A row that names the person and belongs to one that goes, goes too.
        kept[model] -= deleted[model]
    del deleted[User]
    named = {model: keys for model, keys in deleted.items() if model._meta.label_lower in _PEOPLES_WORDS}  # noqa: SLF001
    return DeletionSummary(
        deleted=_counted(named),
        deleted_parts=_counted({model: keys for model, keys in deleted.items() if model not in named}),
        kept_without_name=_counted(kept),
    )


def _keys(rows: Iterable[Model]) -> set[Any]:
    return set(rows.values_list("pk", flat=True)) if isinstance(rows, QuerySet) else {row.pk for row in rows}


def _counted(keys: Mapping[type[Model], set[Any]]) -> list[tuple[str, int]]:
    """Without the tables that only join two others, which are nothing to a person."""
    return sorted(
        (str(_PEOPLES_WORDS.get(model._meta.label_lower, model._meta.verbose_name_plural)), len(of_model))  # noqa: SLF001
        for model, of_model in keys.items()
        if of_model and not model._meta.auto_created  # noqa: SLF001
    )
