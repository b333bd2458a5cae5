"""The page from which maintainers import, and an import's own page: whose they are, what they say, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from portal.accounts.models import User
from portal.catalog import job_dispatch
from portal.catalog.job_models import Import, JobState
from portal.catalog.job_tasks import run_import
from tests.catalog.shelf import write_weights

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def opened(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.STEELYARD_HOME = tmp_path / "home"
    settings.IMPORT_FOLDER = str(tmp_path / "opened")
    settings.IMPORT_SOURCES = ["hub", "folder"]
    (tmp_path / "home").mkdir()
    write_weights(tmp_path / "opened" / "tiny")
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    return tmp_path / "opened"


def test_a_maintainer_asks_follows_and_finds_the_variant(maintainer_client: Client) -> None:
    answer = maintainer_client.post("/imports/", {"kind": "folder", "source": "tiny", "card": "acme/tiny"})
    job = Import.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/imports/{job.pk}/")
    assert job.options == {"card": "acme/tiny", "is_published": False}
    page = maintainer_client.get(answer["Location"])
    assert "Waiting for a worker." in page.text
    assert 'hx-trigger="every 1s"' in page.text
    run_import(job.pk)
    part = maintainer_client.get(f"/imports/{job.pk}/", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "hx-trigger" not in part.text
    assert 'href="/models/acme/tiny/#variant-f32"' in part.text
    assert "acme/tiny:f32" in maintainer_client.get("/imports/").text


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(maintainer_client: Client) -> None:
    answer = maintainer_client.post("/imports/", {"kind": "folder", "source": "../x", "card": "acme/tiny"})
    assert answer.status_code == 422
    assert "There is no such folder or file below" in answer.text
    assert 'value="../x"' in answer.text
    answer = maintainer_client.post("/imports/", {"kind": "hub", "source": "acme/tiny", "card": "no name"})
    assert "cannot be a card&#x27;s name" in answer.text
    assert maintainer_client.post("/imports/", {"kind": "upstream", "source": "http://x/v1"}).status_code == 422
    assert not Import.objects.exists()


def test_a_path_where_none_is_offered_is_told_where_it_can_be_imported(
    maintainer_client: Client, settings: Any
) -> None:
    offered = maintainer_client.post("/imports/", {"kind": "hub", "source": "/srv/models/tiny"})
    assert "choose where it is from above" in offered.text
    assert "path below the folder" in offered.text
    settings.IMPORT_SOURCES = ["hub", "upstream"]
    for path in ("/srv/models/tiny", "./tiny", "~/tiny", "C:\\tiny", "weights/tiny.gguf"):
        refused = maintainer_client.post("/imports/", {"kind": "hub", "source": path})
        assert refused.status_code == 422
        assert "manage.py import_model PATH" in refused.text
        assert "IMPORT_FOLDER" in refused.text
    assert "path below" not in refused.text
    assert "installed package" not in refused.text
    assert "its base URL" in refused.text
    assert not Import.objects.exists()


def test_a_folder_for_imports_that_is_not_there_is_named(maintainer_client: Client, settings: Any) -> None:
    settings.IMPORT_FOLDER = "/nowhere/at/all"
    refused = maintainer_client.post("/imports/", {"kind": "folder", "source": "tiny"})
    assert refused.status_code == 422
    assert "(IMPORT_FOLDER) is not there" in refused.text


def test_a_failed_import_says_why_and_offers_another_try(maintainer_client: Client, maintainer: User) -> None:
    job = Import.objects.create(
        source="hub:acme/<b>",
        options={"card": "a/b"},
        requested_by=maintainer,
        state=JobState.FAILED,
        error="The hub has no <model>.",
    )
    page = maintainer_client.get(f"/imports/{job.pk}/").text
    assert "The hub has no &lt;model&gt;." in page
    assert "/imports/?kind=hub&amp;source=acme%2F%3Cb%3E&amp;card=a%2Fb" in page
    assert "kept for a week" not in page
    Import.objects.update(log=[["2026-11-28T01:00:00+00:00", "downloading"]])
    assert "kept for a week" in maintainer_client.get(f"/imports/{job.pk}/").text
    again = maintainer_client.get("/imports/?kind=hub&source=acme/tiny&card=a/b").text
    assert 'value="acme/tiny"' in again


def test_an_import_is_stopped_once(maintainer_client: Client, maintainer: User) -> None:
    job = Import.objects.create(source="hub:acme/tiny", requested_by=maintainer)
    assert maintainer_client.get(f"/imports/{job.pk}/cancel/").status_code == 405
    maintainer_client.post(f"/imports/{job.pk}/cancel/")
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_imports_are_maintainers_alone(
    maintainer: User, alice_client: Client, reviewer_client: Client, visitor_client: Client, maintainer_client: Client
) -> None:
    job = Import.objects.create(source="hub:acme/tiny", requested_by=maintainer)
    for client in (alice_client, reviewer_client, visitor_client):
        assert client.get("/imports/").status_code == 404
        assert client.post("/imports/", {"kind": "folder", "source": "tiny"}).status_code == 404
        assert client.get(f"/imports/{job.pk}/").status_code == 404
        assert client.post(f"/imports/{job.pk}/cancel/").status_code == 404
        assert "/imports/" not in client.get("/").text
    assert maintainer_client.get(f"/imports/{job.pk + 1}/").status_code == 404
    assert "/imports/" in maintainer_client.get("/").text
    assert Import.objects.count() == 1


def test_the_list_takes_the_same_queries_for_any_number(
    maintainer_client: Client, maintainer: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        Import.objects.create(source=f"hub:acme/tiny{number}", requested_by=maintainer)
    with django_assert_max_num_queries(10):
        page = maintainer_client.get("/imports/?page=2").text
    assert "Page 2 of 2" in page


def test_without_any_allowed_source_the_page_says_so(maintainer_client: Client, settings: Any) -> None:
    settings.IMPORT_SOURCES = []
    assert "turned imports from this page off" in maintainer_client.get("/imports/").text
