"""The OpenAPI document: complete, valid, and true under attack."""

from __future__ import annotations

import io
import json
import re

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from openapi_spec_validator import validate

from portal.api.links import LINKS
from portal.api.problems import PROBLEMS
from portal.api.resources import RESOURCES


def test_the_document_is_made_without_a_warning_and_is_valid() -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=io.StringIO())


@pytest.mark.django_db
def test_it_is_served_to_everybody_as_openapi_3_1(client: Client) -> None:
    response = client.get(reverse("api:schema"), headers={"Accept": "application/json"})
    document = json.loads(response.content)
    validate(document)
    assert document["openapi"].startswith("3.1")
    operations = [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in {"get", "post", "patch", "delete", "put"}
    ]
    assert {operation["operationId"] for operation in operations} >= {
        "feedback_list",
        "feedback_submit",
        "exports_read",
    }
    for operation in operations:
        assert operation["summary"]
        assert {"token": []} in operation["security"]
        assert {"401", "403", "429"} <= set(operation["responses"])


@pytest.mark.django_db
def test_every_body_and_every_row_has_an_example(client: Client) -> None:
    document = json.loads(client.get(reverse("api:schema"), headers={"Accept": "application/json"}).content)
    lacking = [
        (path, method, status)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for status, said in [("body", operation.get("requestBody", {})), *operation["responses"].items()]
        for media_type, media in said.get("content", {}).items()
        # A file of a snapshot is what it is.
        if media_type in {"application/json", "text/event-stream"}
        and "/files/" not in path
        and not media.get("examples")
    ]
    assert lacking == []


@pytest.mark.django_db
def test_every_post_may_be_sent_again_under_a_key(client: Client) -> None:
    document = json.loads(client.get(reverse("api:schema"), headers={"Accept": "application/json"}).content)
    posts = {path: operations["post"] for path, operations in document["paths"].items() if "post" in operations}
    assert posts
    lacking = [
        path
        for path, operation in posts.items()
        if "Idempotency-Key" not in {each["name"] for each in operation.get("parameters", ())}
        or "422" not in operation["responses"]
    ]
    assert lacking == []


@pytest.mark.django_db
def test_where_an_answer_leads_is_an_operation_that_there_is(client: Client) -> None:
    document = json.loads(client.get(reverse("api:schema"), headers={"Accept": "application/json"}).content)
    operations = [each for path in document["paths"].values() for each in path.values() if isinstance(each, dict)]
    known = {each["operationId"]: {one["name"] for one in each.get("parameters", ())} for each in operations}
    linked = [
        link
        for each in operations
        for answer in each["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert linked
    assert LINKS.keys() <= known.keys()
    for link in linked:
        assert link["parameters"].keys() <= known[link["operationId"]]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["api:docs", "api:redoc", "api:problems"])
def test_the_pages_load_nothing_from_elsewhere_and_nothing_inline(client: Client, name: str) -> None:
    response = client.get(reverse(name))
    text = response.content.decode()
    assert response.status_code == 200
    assert "unsafe" not in response["Content-Security-Policy"]
    assert 'src="http' not in text
    assert not re.search('<link[^>]*href="http', text)
    assert "<style" not in text
    assert "<script>" not in text


@pytest.mark.django_db
def test_the_page_names_every_resource_with_a_request_and_the_way_to_run_prompts(client: Client) -> None:
    document = json.loads(client.get(reverse("api:schema"), headers={"Accept": "application/json"}).content)
    there = {path.split("/")[3] for path in document["paths"] if path.startswith("/api/v1/")}
    # Replays belong to a limitation, and have no list of their own.
    assert there - {"replays"} == {resource.name for resource in RESOURCES}
    text = client.get(reverse("api:docs")).content.decode()
    for resource in RESOURCES:
        assert f'"$PORTAL/api/v1/{resource.address}"</code>' in text
    assert 'curl "$PORTAL/v1/chat/completions"' in text


@pytest.mark.django_db
def test_every_problem_has_its_line_on_the_page_of_problems(client: Client) -> None:
    text = client.get(reverse("api:problems")).content.decode()
    for code in PROBLEMS:
        assert f'<tr id="{code}">' in text
