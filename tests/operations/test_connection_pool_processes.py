"""Connections to PostgreSQL that wait in a process's pool, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.services.installation import ROOT

pytestmark = pytest.mark.processes

# Two requests at once, the server's restart, and the next two.
PROGRAM = """
import django, os, psycopg, threading
django.setup()
from django.db import connection

def ask(barrier, asked):
    with connection.cursor() as cursor:
        barrier.wait()
        asked.append(cursor.execute("SELECT pg_backend_pid()").fetchone()[0])
        barrier.wait()
    connection.close()

def two_at_once():
    barrier, asked = threading.Barrier(2), []
    threads = [threading.Thread(target=ask, args=(barrier, asked)) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return asked

before = two_at_once()
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
    for process in before:
        server.execute("SELECT pg_terminate_backend(%s, 10000)", [process])
after = two_at_once()
print(len(set(before)), len(set(after)), set(before) & set(after))
"""


def run(program: str, database_url: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "DATABASE_URL": database_url,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_restarted_server_costs_no_request_an_error(postgres_url: str) -> None:
    assert run(PROGRAM, postgres_url) == "2 2 set()\n"


def test_a_server_that_comes_back_is_looked_for_every_few_seconds(postgres_url: str) -> None:
    program = (
        "import django; django.setup(); from django.db import connection; print(connection.pool.reconnect_timeout)"
    )
    # The pauses between a pool's tries double up to this time, and then a request begins anew.
    assert float(run(program, postgres_url)) <= 5
