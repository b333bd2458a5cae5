"""A visitor who signs in keeps what they began."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from tests.conftest import PASSWORD
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db


def test_a_visitors_conversations_become_the_users(
    alice: User, visitor: uuid.UUID, visitor_client: Client, variant: Variant
) -> None:
    conversation, somebody_elses = make_conversation(visitor), make_conversation(uuid.uuid4())
    add_turn(conversation, variant)
    visitor_client.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    conversation.refresh_from_db()
    assert (conversation.owner, conversation.visitor) == (alice, None)
    assert visitor_client.get(conversation.get_absolute_url()).status_code == 200
    assert visitor_client.get(somebody_elses.get_absolute_url()).status_code == 404
