"""A table taken from its page in a real Chromium: counted, downloaded, and how far that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from portal.accounts.models import User
from tests.feedback.browsing import browsing
from tests.feedback.judgements import judge

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_table_is_counted_and_downloaded_with_its_progress_below(
    live_server: Any, alice: User, alice_client: Client
) -> None:
    submission = judge(alice)
    with browsing(live_server.url, alice_client) as context:
        page = context.new_page()
        page.goto(reverse("exports:table", args=["submissions"]))
        page.get_by_role("button", name="Count the rows").click()
        expect(page.get_by_text("1 row matches.")).to_be_visible()
        with page.expect_download() as taken:
            page.get_by_role("button", name="Download").click()
        [line] = Path(taken.value.path()).read_text().splitlines()
        assert json.loads(line)["id"] == str(submission.pk)
        expect(page.locator("#download")).to_contain_text("Done: 1 row,")
