"""Every recipe in docs/api.md runs as it stands."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.api.problems import PROBLEMS
from portal.feedback.models import Submission
from tests.feedback.judgements import judge, make_generation
from tests.services.installation import ROOT
from tests.services.recipes import run_recipes

DOCUMENT = (ROOT / "docs" / "api.md").read_text()


@pytest.mark.django_db(transaction=True)
def test_every_recipe_runs(live_server: Any, alice: User, bob: User, tmp_path: Path) -> None:
    judge(bob, helpfulness=5, comment="Größe")
    judge(bob, thumb="down", helpfulness=1)
    generation = make_generation(alice)
    _token, secret = create_token(alice, name="recipes", scopes=[Scope.READ, Scope.SUBMIT], lifetime=None)
    printed = run_recipes("api.md", tmp_path, PORTAL=live_server.url, TOKEN=secret, GENERATION=str(generation.pk))
    page, filtered, unchanged, _files, listing, given, _changed, variants = printed
    assert len(json.loads(page)["results"]) == 2
    assert [row["answers"]["thumb"] for row in json.loads(filtered)["results"]] == ["down"]
    assert unchanged == "304"
    assert [row["id"] for row in json.loads(variants)["results"]] == ["smol/lm2:bf16"]
    assert listing.splitlines() == ["smol/lm2:bf16 up", "smol/lm2:bf16 down"]
    assert json.loads(given)["answers"] == {"thumb": "down", "reasons_down": ["incorrect"]}
    assert [json.loads(line)["prompt"] for line in (tmp_path / "feedback.jsonl").read_text().splitlines()]
    with (tmp_path / "feedback.csv").open(newline="") as file:
        assert [line["comment"] for line in csv.DictReader(file)] == ["Größe"]
    assert Submission.objects.get(generation=generation).is_withdrawn


def test_the_problem_shown_is_one_there_is() -> None:
    [shown] = re.findall(r"/api/problems/#([a-z-]+)", DOCUMENT)
    assert shown in PROBLEMS
