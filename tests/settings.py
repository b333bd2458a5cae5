"""The product's settings, with what only tests need. TEST_DATABASE_URL runs the suite on that server.

Nothing here reaches an installation's own database or Valkey: each test process has its own, and a Valkey runs only
for the tests that ask for one (tests/services/valkey.py).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

SCRATCH = Path(tempfile.gettempdir()) / f"steelyard-tests-{os.getpid()}"
with mock.patch.dict(
    os.environ,
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", f"sqlite:///{SCRATCH}/database.sqlite3"),
    REDIS_URL=os.environ.get("TEST_REDIS_URL", f"unix://{SCRATCH}/valkey.sock?db=0"),
    CELERY_BROKER_URL=os.environ.get("TEST_BROKER_URL", f"redis+socket://{SCRATCH}/valkey.sock?virtual_host=0"),
):
    from portal.settings import *  # noqa: F403
    from portal.settings import (
        CELERY_BROKER_TRANSPORT_OPTIONS,
        DATABASES,
        ENGINE_BACKENDS,
        QUEUE_PATIENCE_S,
        REDIS_SOCKET_TIMEOUT_S,
    )

SCRATCH.mkdir(mode=0o700, exist_ok=True)
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
# What the processes of one run share: the folder of the first, whose environment the others have.
TEST_RUN_FOLDER = Path(os.environ.setdefault("TEST_RUN_FOLDER", str(SCRATCH)))
if "TEST_DATABASE_URL" in os.environ:
    DATABASES["default"]["TEST"] = {"NAME": f"test_{DATABASES['default']['NAME']}"}
else:
    # A file and not memory, so that real worker processes can share it, with the options that the product has.
    DATABASES["default"]["TEST"] = {"NAME": str(TEST_RUN_FOLDER / "test.sqlite3")}
    # What a power failure would leave of it matters to nobody.
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
# Worker processes (tests/processes) keep the product's connection pool; here it would hold the test database open.
if "TEST_REDIS_URL" not in os.environ:
    DATABASES["default"].get("OPTIONS", {}).pop("pool", None)
# What the processes of tests/processes get is longer, but for tests about a Valkey that is away.
REDIS_SOCKET_TIMEOUT_S = float(os.environ.get("TEST_REDIS_TIMEOUT_S", REDIS_SOCKET_TIMEOUT_S))
CELERY_BROKER_TRANSPORT_OPTIONS |= dict.fromkeys(("socket_timeout", "socket_connect_timeout"), REDIS_SOCKET_TIMEOUT_S)
QUEUE_PATIENCE_S = float(os.environ.get("TEST_QUEUE_PATIENCE_S", QUEUE_PATIENCE_S))
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# whitenoise looks a static file up when it is asked for. Else each test client would first list all of them.
WHITENOISE_AUTOREFRESH = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ENGINE_BACKENDS["scripted"] = "tests.processes.scripted_backend.scripted_engine"
