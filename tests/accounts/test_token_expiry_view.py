"""When a token ends is told as a date and in days, whatever the distance."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from portal.accounts.models import User
from portal.accounts.services import create_token


def test_the_end_of_a_token_is_a_date_and_a_number_of_days(alice_client: Client, alice: User) -> None:
    token, _secret = create_token(alice, name="t", scopes=["read"], lifetime=timedelta(days=90))
    html = alice_client.get("/accounts/tokens/").content.decode()
    assert f"{date_format(timezone.localtime(token.expiry), 'DATE_FORMAT')}</time>" in html
    assert ">in 90 days</span>" in html
    assert "months" not in html
