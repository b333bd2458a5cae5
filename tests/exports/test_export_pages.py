"""The pages of snapshots and tables: who sees what, asking for a snapshot, comparing two, taking a table."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.exports import downloads, queries
from portal.exports.criteria import Criteria
from portal.exports.models import Snapshot
from portal.exports.services import start_snapshot
from tests.exports.snapshots import made
from tests.feedback.judgements import judge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]


def test_who_sees_what(maintainer: User, maintainer_client: Client, alice_client: Client, client: Client) -> None:
    published = made(maintainer)
    waiting = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    page, hidden = published.get_absolute_url(), waiting.get_absolute_url()
    assert [each.get(page).status_code for each in (client, alice_client, maintainer_client)] == [200, 200, 200]
    assert [each.get(hidden).status_code for each in (client, alice_client, maintainer_client)] == [404, 404, 200]
    file = reverse("exports:snapshot-file", args=[published.pk, "README.md"])
    assert [each.get(file).status_code for each in (client, alice_client)] == [302, 200]
    hidden_file = reverse("exports:snapshot-file", args=[waiting.pk, "README.md"])
    assert [each.get(hidden_file).status_code for each in (alice_client, maintainer_client)] == [404, 404]
    cancel = reverse("exports:cancel-snapshot", args=[waiting.pk])
    assert [each.post(cancel).status_code for each in (client, alice_client)] == [404, 404]
    assert maintainer_client.get(cancel).status_code == 405
    assert maintainer_client.post(cancel).status_code == 302
    new = reverse("exports:new-snapshot")
    assert [each.get(new).status_code for each in (client, alice_client, maintainer_client)] == [404, 404, 200]


def test_the_form_makes_a_snapshot_or_says_beside_each_field_why_not(
    maintainer: User, maintainer_client: Client
) -> None:
    address = reverse("exports:new-snapshot")
    refused = maintainer_client.post(address, {"title": "", "card": "no/card", "since": "soon", "tables": ["feedback"]})
    assert refused.status_code == 422
    errors = refused.context["form"].errors
    assert {"title", "since"} <= set(errors)
    chosen = {"title": "Autumn", "tables": ["feedback", "kto"], "salting": "own", "review_state": ["accepted"]}
    response = maintainer_client.post(address, chosen)
    snapshot = Snapshot.objects.get()
    assert response["Location"] == snapshot.get_absolute_url()
    assert (snapshot.tables, snapshot.criteria) == (["feedback", "kto"], {"review_state": "accepted"})
    wide = {**chosen, "tables": ["submissions_wide"]}
    without = maintainer_client.post(address, wide)
    assert (without.status_code, list(without.context["form"].errors)) == (422, ["questionnaire"])
    assert maintainer_client.post(address, {**wide, "questionnaire": "answer-quality"}).status_code == 302
    Snapshot.objects.first().delete()  # type: ignore[union-attr]
    again = maintainer_client.post(address, {**chosen, "card": "no/card"})
    assert again.context["form"].errors["card"]
    assert Snapshot.objects.count() == 1


def test_two_are_compared_on_a_page(maintainer: User, alice: User, alice_client: Client) -> None:
    judge(alice)
    first = made(maintainer)
    judge(alice)
    second = made(maintainer)
    page = alice_client.get(reverse("exports:compare-snapshots", args=[second.pk]), {"with": str(first.pk)})
    assert page.context["difference"].added == 1
    assert ("feedback", 1, 2) in page.context["rows"]
    assert page.context["differ_in"] == []
    assert alice_client.get(reverse("exports:compare-snapshots", args=[second.pk])).status_code == 404
    other = made(maintainer, "comparisons", criteria=Criteria(language="de"))
    page = alice_client.get(reverse("exports:compare-snapshots", args=[other.pk]), {"with": str(second.pk)})
    assert page.context["difference"].left == 2
    assert "The two differ in what they were made of (tables, filters)" in page.content.decode()
    assert (
        '<th scope="row">feedback</th><td class="number">2</td><td class="number">\N{EN DASH}</td>'
        in page.content.decode()
    )


def test_the_overview_takes_the_same_queries_however_many(maintainer: User, alice_client: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert alice_client.get(reverse("exports:overview")).status_code == 200
        return len(queries)

    made(maintainer, "feedback")
    one = count()
    for _ in range(3):
        made(maintainer, "feedback")
    assert count() == one


def test_a_table_is_taken_from_its_page(alice: User, alice_client: Client, client: Client) -> None:
    judge(alice)
    address = reverse("exports:table", args=["kto"])
    assert client.get(address).status_code == 302
    assert alice_client.get(address).status_code == 200
    response: Any = alice_client.get(address, {"format": "jsonl", "download": "1", "card": ""})
    assert json.loads(response.getvalue())["label"] is True
    refused = alice_client.get(address, {"format": "jsonl", "download": "1", "campaign": "none"})
    assert refused.status_code == 400
    assert "campaign" in refused.content.decode()
    assert alice_client.get(reverse("exports:table", args=["none"])).status_code == 404
    counted = alice_client.get(address, {"count": "1", "thumb": "up", "review_state": "unreviewed,accepted"})
    assert (counted.status_code, counted.context["expected"]) == (200, 1)
    unknown = alice_client.get(address, {"count": "1", "label": "harmful", "agreement_min": "2"})
    assert (unknown.status_code, set(unknown.context["form"].errors)) == (400, {"label", "agreement_min"})
    wide = reverse("exports:table", args=["submissions_wide"])
    assert alice_client.get(wide).status_code == 200
    assert alice_client.get(wide, {"download": "1"}).status_code == 400


def test_a_download_tells_its_own_person_how_far_it_is_and_can_be_stopped(
    alice: User, alice_client: Client, bob_client: Client, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(queries, "CHUNK_ROWS", 1)
    for _ in range(3):
        judge(alice)
    key = uuid.uuid4()
    state = reverse("exports:download", args=[key])
    address = reverse("exports:table", args=["feedback"])
    assert "rows" not in alice_client.get(state).content.decode()
    with CaptureQueriesContext(connection) as asked:
        assert alice_client.head(address, {"download": "1", "key": str(key)}).status_code == 200
    assert not any("COUNT(" in query["sql"] for query in asked), "nothing is sent of which it would be told"
    assert "rows" not in alice_client.get(state).content.decode()
    response: Any = alice_client.get(address, {"download": "1", "key": str(key)})
    pieces = iter(response.streaming_content)
    read = next(pieces) + next(pieces)
    assert read.count(b"\n") == 2
    assert "1 rows of about 3" in alice_client.get(state).content.decode()
    assert "rows" not in bob_client.get(state).content.decode()
    bob_client.post(state)
    assert client.post(state).status_code == 302
    read += next(pieces)
    assert "Being stopped" in alice_client.post(state).content.decode()
    with pytest.raises(downloads.DownloadStopped):
        next(pieces)
    assert "Stopped after 3 rows" in alice_client.get(state).content.decode()
    whole: Any = alice_client.get(address, {"download": "1", "key": str(key)})
    assert whole.getvalue() == read
    assert "Done: 3 rows" in alice_client.get(state).content.decode()
