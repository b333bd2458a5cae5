"""What an operation's description says holds: what a parameter does not allow is refused, each answer has a tag."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.api import schema
from portal.api.operation import operation, require_allowed
from portal.exports.criteria import InvalidCriterion
from tests.api.test_judgements_schemathesis import served_document

JSON_ALONE = {"application/json", "application/problem+json"}


def readable() -> list[tuple[str, dict[str, Any]]]:
    """The operations that read something without naming one."""
    paths = json.loads(served_document())["paths"].items()
    return [(path, operations["get"]) for path, operations in paths if "get" in operations and "{" not in path]


@pytest.fixture
def program(make_user: Callable[..., User], token_client: Callable[..., Client], settings: Any) -> Client:
    settings.API_RATE = "1000000/minute"
    return token_client(make_user("all", Role.REVIEWER, Role.MAINTAINER, Role.OPERATOR), *Scope)


def unfit(said: dict[str, Any]) -> str | None:
    """A value that this schema does not allow; None where every text is allowed."""
    if {"enum", "pattern", "items", "format", "anyOf", "minimum"} & said.keys():
        return "!\n"
    return "x" * (said["maxLength"] + 1) if "maxLength" in said else None


def test_what_a_parameter_does_not_allow_is_refused_by_its_name(program: Client) -> None:
    tried = 0
    for path, described in readable():
        query = [each for each in described.get("parameters", ()) if each["in"] == "query"]
        for parameter in query:
            value = unfit(parameter["schema"])
            if value is None:
                continue
            tried += 1
            response = program.get(path, {parameter["name"]: value})
            told = [each["parameter"] for each in response.json().get("errors", ())]
            assert (response.status_code, told) == (400, [parameter["name"]]), (path, parameter)
        unknown = program.get(path, {"no_such": "1"})
        assert (unknown.status_code, unknown.json()["errors"][0]["parameter"]) == (400, "no_such")
    assert tried > 80


def test_every_answer_in_json_has_a_tag_that_saves_the_next(program: Client) -> None:
    tried = 0
    for path, described in readable():
        if not described["responses"]["200"]["content"].keys() <= JSON_ALONE:
            continue
        tried += 1
        first = program.get(path)
        again = program.get(path, headers={"If-None-Match": first["ETag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b""), path
        assert again["ETag"] == first["ETag"]
        assert ("RateLimit" in again, "Content-Type" in again) == (True, False)
        assert {"304", "200"} <= described["responses"].keys()
    assert tried > 20


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"type": "string", "pattern": "^[a-z]+$"}, "a\n"),
        ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 2}, "aaa"),
        ({"type": "string", "minLength": 1, "maxLength": 4}, ""),
        ({"type": "string", "maxLength": 4}, "a\x00"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "\u0661"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "+1"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "9" * 4_400),
        ({"type": "integer", "enum": [7, 30]}, "8"),
        ({"type": "string", "format": "uuid"}, "0" * 32),
        ({"type": "string", "format": "date"}, "20260131"),
        ({"type": "string", "format": "date"}, "2026-02-30"),
    ],
)
def test_no_look_alike_passes(said: dict[str, Any], text: str) -> None:
    class View:
        @operation(parameters=[schema.query("one", said, "")], responses={})
        def get(self) -> None: ...

    given = QueryDict(mutable=True)
    given["one"] = text
    with pytest.raises(InvalidCriterion, match=r"^one: "):
        require_allowed(View.get, given)


def test_a_parameter_is_given_once_and_one_that_is_needed_is_given() -> None:
    class View:
        @operation(
            parameters=[schema.names_query("fields", ["id", "at"], ""), schema.query("to", {}, "", required=True)],
            responses={},
        )
        def get(self) -> None: ...

    require_allowed(View.get, QueryDict("fields=id,at&to=x&format=json"))
    for query, name in (("to=1&to=2", "to"), ("fields=id", "to"), ("to=1&fields=id,", "fields"), ("to=1&q=", "q")):
        with pytest.raises(InvalidCriterion) as refused:
            require_allowed(View.get, QueryDict(query))
        assert refused.value.parameter == name
