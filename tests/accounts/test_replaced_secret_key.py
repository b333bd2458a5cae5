"""A replaced SECRET_KEY among SECRET_KEY_FALLBACKS: what it signed is still good, and what it signs no more is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.following import read_unsubscribe_token, unsubscribe_token
from portal.reviews.services.notice_mails import no_mail_token, read_no_mail_token
from tests.catalog.shelf import make_card
from tests.services.installation import ROOT

pytestmark = pytest.mark.django_db

NEW = "a new key of fifty characters or more, made for these tests"


@pytest.fixture
def replace(settings: Any) -> Callable[..., None]:
    """Gives the installation a new key, and keeps the one before it where asked."""

    def do(*, keeps: bool) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keeps else []
        settings.SECRET_KEY = NEW

    return do


@pytest.mark.parametrize("keeps", [True, False])
def test_who_was_signed_in_stays_so(alice_client: Client, replace: Callable[..., None], keeps: bool) -> None:
    replace(keeps=keeps)
    for _ in range(2):
        assert (alice_client.get(reverse("accounts:tokens")).status_code == 200) is keeps


def test_a_session_that_goes_on_needs_the_old_key_no_longer(
    alice_client: Client, replace: Callable[..., None], settings: Any
) -> None:
    replace(keeps=True)
    # Whatever is written into it is signed anew.
    session = alice_client.session
    session["seen"] = True
    session.save()
    alice_client.get(reverse("accounts:tokens"))
    settings.SECRET_KEY_FALLBACKS = []
    assert alice_client.get(reverse("accounts:tokens")).status_code == 200


@pytest.mark.parametrize("keeps", [True, False])
def test_a_link_to_a_new_password_works(client: Client, alice: User, replace: Callable[..., None], keeps: bool) -> None:
    client.post(reverse("account_reset_password"), {"email": alice.email})
    [link] = re.findall(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    replace(keeps=keeps)
    page = Client().get(link, follow=True)
    assert ("password1" in page.content.decode()) is keeps


@pytest.mark.parametrize("keeps", [True, False])
def test_links_that_end_mails_work(alice: User, replace: Callable[..., None], keeps: bool) -> None:
    card = make_card()
    follower, nothing_more = unsubscribe_token(card, alice), no_mail_token(alice)
    replace(keeps=keeps)
    assert read_unsubscribe_token(follower) == ((card, alice) if keeps else None)
    assert read_no_mail_token(nothing_more) == (alice if keeps else None)
    assert unsubscribe_token(card, alice) != follower


@pytest.mark.parametrize(
    ("given", "expected"), [(None, []), ("", []), ("one", ["one"]), ("newer,older", ["newer", "older"])]
)
def test_they_come_from_the_environment(given: str | None, expected: list[str]) -> None:
    program = (
        "import json; from django.conf import settings; "
        "print(json.dumps([settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS]))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", "SECRET_KEY": NEW}
    environment.pop("SECRET_KEY_FALLBACKS", None)
    if given is not None:
        environment["SECRET_KEY_FALLBACKS"] = given
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(ended.stdout) == [NEW, expected]
