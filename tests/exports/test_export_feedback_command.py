"""`manage.py export_feedback`: the same rows as the API, into a file that is whole or not there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command

from portal.accounts.models import User
from portal.exports.formats import JsonLines
from portal.exports.queries import row_of
from tests.feedback.judgements import judge

pytestmark = pytest.mark.django_db


def test_json_lines_are_the_rows_and_the_report_their_digest(alice: User, tmp_path: Path) -> None:
    given = [judge(alice, comment="Größe"), judge(alice, thumb="down")]
    target, report = tmp_path / "feedback.jsonl", io.StringIO()
    call_command("export_feedback", "--output", str(target), "--json", stdout=report)
    data = target.read_bytes()
    assert [json.loads(line) for line in data.decode().splitlines()] == [row_of(submission) for submission in given]
    assert json.loads(report.getvalue()) == {
        "table": "feedback",
        "format": "jsonl",
        "output": str(target),
        "rows": 2,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_csv_goes_to_standard_output_and_nothing_else_does(
    alice: User, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    judge(alice, thumb="down")
    judge(alice, comment="=1+1")
    call_command("export_feedback", "--format", "csv", "--thumb", "up", "--json", stderr=io.StringIO())
    lines = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode(), newline="")))
    assert [line["comment"] for line in lines] == ["'=1+1"]


def test_a_bad_filter_is_named_and_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "feedback.csv"
    for arguments, part in (
        ("--rating 9", "--rating:"),
        ("--rating-min x", "--rating-min:"),
        ("--card a/b", "--card:"),
    ):
        with pytest.raises(CommandError, match=part):
            call_command("export_feedback", "--output", str(target), *arguments.split())
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_breaks_off_leaves_the_earlier_file(alice: User, tmp_path: Path) -> None:
    judge(alice)
    target = tmp_path / "feedback.jsonl"
    target.write_text("earlier")
    with mock.patch.object(JsonLines, "encode", side_effect=RuntimeError), pytest.raises(RuntimeError):
        call_command("export_feedback", "--output", str(target))
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        call_command("export_feedback", "--output", str(tmp_path / "none" / "feedback.jsonl"))


def test_a_pipe_is_written_to_and_stays_one(alice: User, tmp_path: Path) -> None:
    judge(alice)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as readers:
        read = readers.submit(pipe.read_bytes)
        call_command("export_feedback", "--output", str(pipe), stdout=io.StringIO())
        assert read.result(10).count(b"\n") == 1
    assert pipe.is_fifo()
