"""The product's settings, with what only tests need. TEST_DATABASE_URL runs the suite on that server."""

from __future__ import annotations

import os

import environ

from portal.settings import *  # noqa: F403

if "TEST_DATABASE_URL" in os.environ:
    # Without the pool of portal/settings.py: tests run in few threads, and a pool keeps the test database from going.
    DATABASES = {"default": environ.Env.db_url_config(os.environ["TEST_DATABASE_URL"])}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
