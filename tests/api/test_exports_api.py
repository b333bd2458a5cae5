"""`/api/v1/exports/` over HTTP: which tables there are, who reads them, in which form, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pyarrow import parquet

from portal.accounts.models import Scope, User
from portal.api.export_views import ExportTablesSerializer
from portal.exports.tables import TABLES
from tests.feedback.judgements import judge

pytestmark = pytest.mark.django_db


def url(table: str) -> str:
    return reverse("api:export-detail", args=[table])


def body(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)


def test_the_list_describes_every_table_as_documented(alice_client: Client) -> None:
    results = alice_client.get(reverse("api:export-list")).json()["results"]
    assert [each["name"] for each in results] == list(TABLES)
    serializer = ExportTablesSerializer(data={"results": results})
    assert serializer.is_valid(), serializer.errors
    (kto,) = [each for each in results if each["name"] == "kto"]
    assert kto["training"]
    assert {"name": "label", "kind": "boolean", "meaning": "Whether it is desirable.", "nullable": False} in kto[
        "columns"
    ]


def test_one_table_reads_the_same_in_every_format(alice: User, bob_client: Client) -> None:
    judge(alice)
    judge(alice, thumb="down")
    rows = json.loads(body(bob_client.get(url("kto"))))
    assert [row["label"] for row in rows] == [True, False]
    lines = body(bob_client.get(url("kto"), {"format": "jsonl"})).splitlines()
    assert [json.loads(line) for line in lines] == rows
    cells = list(csv.DictReader(io.StringIO(body(bob_client.get(url("kto"), {"format": "csv"})).decode(), newline="")))
    assert [cell["label"] for cell in cells] == ["true", "false"]
    table = parquet.read_table(io.BytesIO(body(bob_client.get(url("kto"), {"format": "parquet"}))))
    assert table.column("completion").to_pylist() == [row["completion"] for row in rows]


def test_a_text_is_compressed_when_the_client_asks(alice: User, alice_client: Client) -> None:
    judge(alice)
    response = alice_client.get(url("feedback"), {"format": "jsonl"}, headers={"Accept-Encoding": "gzip"})
    assert (response["Content-Encoding"], "Accept-Encoding" in response["Vary"]) == ("gzip", True)
    (line,) = gzip.decompress(body(response)).splitlines()
    assert json.loads(line)["prompt"] == "What is a steelyard?"
    columnar = alice_client.get(url("feedback"), {"format": "parquet"}, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in columnar


def test_anonymous_and_without_the_scope_nobody_reads(
    client: Client, visitor_client: Client, alice: User, token_client: Callable[..., Client]
) -> None:
    for address in (url("kto"), reverse("api:export-list")):
        assert client.get(address).status_code == 401
        assert visitor_client.get(address).status_code == 401
        assert token_client(alice, Scope.SUBMIT).get(address).status_code == 403
        assert token_client(alice, Scope.EXPORT).get(address).status_code == 200


def test_a_table_that_is_not_there_is_404_and_another_method_405(alice_client: Client) -> None:
    missing = alice_client.get(url("none"))
    assert missing.status_code == 404
    assert re.search(r"“none”.*feedback, .*, kto", missing.json()["detail"])
    assert alice_client.post(url("kto")).status_code == 405


@pytest.mark.parametrize(
    ("table", "query", "parameter"),
    [
        ("comparisons", {"thumb": "up"}, "thumb"),
        ("kto", {"limit": "3"}, "limit"),
        ("submissions_wide", {}, "questionnaire"),
        ("kto", {"campaign": "none"}, "campaign"),
        ("kto", {"format": "xml"}, "format"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(
    alice_client: Client, table: str, query: dict[str, str], parameter: str
) -> None:
    response = alice_client.get(url(table), query)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
