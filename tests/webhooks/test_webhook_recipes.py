"""The recipes of docs/webhooks.md as they stand: a webhook made over the API, and a receiver that verifies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.webhooks.delivering import deliver
from portal.webhooks.models import Endpoint
from portal.webhooks.sending import post
from portal.webhooks.services import ping
from tests.services.installation import eventually, free_port

DOCUMENT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
[MAKE] = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
[VERIFY] = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_the_recipes_run(live_server: Any, maintainer: User, tmp_path: Path, settings: Any) -> None:
    port = free_port()
    settings.WEBHOOK_PRIVATE_HOSTS = [f"127.0.0.1:{port}"]
    settings.WEBHOOK_TIMEOUT_S = 60.0
    url = f"http://127.0.0.1:{port}/"
    _token, token = create_token(maintainer, name="recipes", scopes=[Scope.WEBHOOKS], lifetime=None)
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL": live_server.url,
        "TOKEN": token,
        "RECEIVER": url,
        "RECEIVER_PORT": str(port),
        "no_proxy": "*",
    }
    subprocess.run(["bash", "-euo", "pipefail", "-c", MAKE], check=True, env=environment, cwd=tmp_path, timeout=300)
    secret = json.loads((tmp_path / "webhook.json").read_text())["secret"]
    with (tmp_path / "printed").open("w") as printed:
        program = subprocess.Popen(
            [sys.executable, "-c", VERIFY], env={**environment, "SECRET": secret}, stdout=printed, stderr=printed
        )
    try:
        delivery = ping(Endpoint.objects.get())

        def is_taken() -> bool:
            type(delivery).objects.update(state="waiting", due_at=delivery.created_at)
            delivery.refresh_from_db()
            return deliver(delivery)

        eventually(is_taken, 60, "a verified message")
        assert is_taken()  # once more, under the same id
        forged = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AAAA"}
        assert post(url, b"{}", forged).status == 401
    finally:
        program.kill()
        program.wait()
    lines = (tmp_path / "printed").read_text().splitlines()
    assert [line for line in lines if line == "ping"] == ["ping"]
