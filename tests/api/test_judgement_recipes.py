"""Every recipe in docs/api-judgements.md runs as it stands: from a submission to a known limitation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.accounts.services import create_token
from portal.catalog.services import publish_revision
from portal.feedback.models import Campaign
from portal.reviews.models import Limitation, QueuePolicy
from tests.catalog.shelf import CARD_TEXT, make_card
from tests.catalog.shelf import make_variant as make_shelf_variant
from tests.feedback.judgements import make_generation
from tests.services.recipes import run_recipes


def secret_of(user: User, *scopes: Scope) -> str:
    return create_token(user, name="recipes", scopes=scopes, lifetime=None)[1]


@pytest.mark.django_db(transaction=True)
def test_every_recipe_runs(live_server: Any, make_user: Callable[..., User], tmp_path: Path) -> None:
    # One verdict decides, since one reviewer is at work.
    QueuePolicy.objects.update(gold_percent=0, needed_reviews=1)
    contributor, reviewer = make_user("contributor"), make_user("judge", Role.REVIEWER)
    maintainer = make_user("keeper", Role.MAINTAINER)
    card = make_card()
    publish_revision(card, CARD_TEXT.replace("apache-2.0", "mit"), maintainer, "Another licence.")
    make_shelf_variant(card)
    environment = {
        "PORTAL": live_server.url,
        "TOKEN": secret_of(contributor, Scope.READ, Scope.SUBMIT),
        "REVIEWER": secret_of(reviewer, Scope.REVIEW),
        "MAINTAINER": secret_of(maintainer, Scope.ADMIN, Scope.REVIEW),
        "GENERATION": str(make_generation(contributor).pk),
        "CARD": card.name,
    }
    run_recipes("api-judgements.md", tmp_path, **environment)
    assert Limitation.objects.get().me_toos.count() == 1
    assert Campaign.objects.get(slug="spring").questionnaire.slug == "tone"
