"""Sessions that are over are deleted by workers; nobody else would."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from portal.accounts.job_tasks import forget_sessions


@pytest.mark.django_db
def test_a_session_goes_when_it_has_expired_and_not_before(alice_client: Client, bob_client: Client) -> None:
    over, live = (client.session.session_key for client in (alice_client, bob_client))
    Session.objects.filter(pk=over).update(expire_date=timezone.now() - timedelta(seconds=1))
    forget_sessions()
    assert set(Session.objects.values_list("pk", flat=True)) == {live}
