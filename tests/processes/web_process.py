"""A real uvicorn in its own process, on the test's database and Valkey."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from portal.operations.programs import web_command
from tests.processes.worker_process import process_environment
from tests.services.installation import ROOT, START_WITHIN_S, eventually, free_port


class WebProcess:
    """Answers when the constructor returns."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.log = log
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                web_command("127.0.0.1", port),
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env=process_environment(**environment),
            )  # fmt: skip
        eventually(self._answers, START_WITHIN_S, "the web process answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
