from __future__ import annotations

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, ManagementUtility, call_command
from knox.crypto import hash_token

from portal.accounts.models import ApiToken, Scope, User


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_the_token_alone_is_printed(alice: User) -> None:
    printed = run("--user", "alice", "--scope", "read", "submit", "--scope", "export")
    token = ApiToken.objects.get()
    assert hash_token(printed.removesuffix("\n")) == token.digest
    assert (token.user, token.scopes, token.expiry) == (alice, ["read", "submit", "export"], None)


def test_json_tells_the_facts_too(alice: User) -> None:
    facts = json.loads(run("--user", "ALICE", "--scope", "read", "--name", "ci", "--expires-days", "7", "--json"))
    token = ApiToken.objects.get()
    assert hash_token(facts.pop("token")) == token.digest
    assert facts == {
        "id": str(token.pk),
        "user": "alice",
        "name": "ci",
        "scopes": ["read"],
        "expires_at": token.expiry.isoformat(),
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--user", "mallory", "--scope", "read"], "Nobody is called 'mallory' here."),
        (["--user", "alice", "--scope", "fly"], "The scopes are read, submit, review, export, webhooks and admin."),
        (["--user", "alice", "--scope", "admin"], "alice has no role that covers the scope admin."),
        (["--user", "alice", "--scope", "read", "--name", ""], "1 to 80"),
        (["--user", "alice", "--scope", "read", "--expires-days", "0"], "1 to 3650 days"),
        (["--user", "alice", "--scope", "read", "--expires-days", "4000"], "1 to 3650 days"),
        (["--user", "alice", "--scope", "read", "--expires-days", "999999999999"], "1 to 3650 days"),
        (["--user", "alice", "--scope", "read", "--expires-days", "-999999999999"], "1 to 3650 days"),
    ],
)
def test_a_mistake_is_one_sentence_and_makes_nothing(alice: User, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    assert sentence in str(caught.value)
    assert not ApiToken.objects.exists()


def test_the_scopes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ManagementUtility(["manage.py", "create_token", "--help"]).execute()
    printed = capsys.readouterr().out
    assert all(scope in printed for scope in Scope.values)


def test_as_a_process_it_speaks_on_the_right_stream_with_the_right_status(
    tmp_path: Path, migrated_file: Path | None
) -> None:
    root = Path(__file__).parents[2]
    environment = {
        "STEELYARD_HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(root / "manage.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)

    if migrated_file is None:
        assert manage("migrate", "-v", "0").returncode == 0
    else:
        shutil.copy(migrated_file, tmp_path / "steelyard.sqlite3")
    refused = manage("create_token", "--user", "nobody", "--scope", "read")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Nobody is called 'nobody' here." in refused.stderr
    assert "Traceback" not in refused.stderr
    made = manage("createsuperuser", "--noinput", "--username", "root", "--email", "root@example.org")
    assert made.returncode == 0, made.stderr
    printed = manage("create_token", "--user", "root", "--scope", "admin")
    assert printed.returncode == 0
    assert len(printed.stdout) == 3 + 64 + 1
