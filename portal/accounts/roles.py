"""The four roles, as Django groups, and what each may do.

Everybody who signs up is a contributor. The others are given in the admin by an operator.
"""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """A role's value is the name of its Django group."""

    CONTRIBUTOR = "contributor", _("Contributor")
    REVIEWER = "reviewer", _("Reviewer")
    MAINTAINER = "maintainer", _("Maintainer")
    OPERATOR = "operator", _("Operator")


# "app_label.model" → actions. Each role lists only what it adds; nobody is given a role's rights by another role.
PERMISSIONS: Final[dict[Role, dict[str, tuple[str, ...]]]] = {
    Role.CONTRIBUTOR: {},
    Role.REVIEWER: {
        "arena.comparison": ("view",),
        "arena.vote": ("view",),
        "feedback.submission": ("view",),
        "feedback.answer": ("view",),
    },
    Role.MAINTAINER: {
        "arena.comparison": ("view",),
        "arena.pool": ("view", "add", "change"),
        "arena.poolentry": ("view", "add", "change", "delete"),
        "arena.vote": ("view",),
        "catalog.modelcard": ("view", "add", "change"),
        "catalog.cardrevision": ("view", "add"),
        "catalog.variant": ("view", "add", "change"),
        "exports.heldoutprompt": ("view", "add", "delete"),
        "playground.promptcollection": ("view", "add", "change", "delete"),
        "playground.libraryprompt": ("view", "add", "change", "delete"),
        "feedback.campaign": ("view",),
        "exports.snapshot": ("view", "add"),
        "feedback.questionnaire": ("view", "add", "change"),
        "feedback.question": ("view", "add", "change"),
        "feedback.submission": ("view",),
        "feedback.answer": ("view",),
        "webhooks.endpoint": ("view", "add", "change", "delete"),
    },
    Role.OPERATOR: {
        "accounts.user": ("view", "add", "change", "delete"),
        "accounts.apitoken": ("view", "delete"),
        "arena.comparison": ("view",),
        "arena.pool": ("view", "add", "change", "delete"),
        "arena.poolentry": ("view", "add", "change", "delete"),
        "arena.vote": ("view", "change"),
        "auth.group": ("view",),
        "catalog.modelcard": ("view", "add", "change", "delete"),
        "catalog.variant": ("view", "add", "change", "delete"),
        "feedback.submission": ("view", "change"),
        "feedback.answer": ("view",),
        "reviews.reviewitem": ("view",),
        "reviews.review": ("view",),
        "reviews.event": ("view",),
        "reviews.contributorrecord": ("view",),
        "reviews.block": ("view",),
        "reviews.limitation": ("view",),
        "playground.generation": ("view",),
        "playground.conversation": ("view",),
        "webhooks.endpoint": ("view", "add", "change", "delete"),
    },
}
STAFF_ROLES: Final = frozenset({Role.REVIEWER, Role.MAINTAINER, Role.OPERATOR})
