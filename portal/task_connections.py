"""Celery's care for Django's connections, by Django's own rules.

Celery closes every connection before and after each task. To open SQLite's anew cost a generation 6 ms of its worker's
processor time, which the engine beside it went without.
"""

from __future__ import annotations

from functools import cached_property

from celery import Celery
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup  # type: ignore[attr-defined]  # unknown to its stub
from django.db import close_old_connections


class _WorkerFixup(DjangoWorkerFixup):  # type: ignore[misc]  # its stub inherits from Any
    def _close_database(self) -> None:
        close_old_connections()


class _Fixup(DjangoFixup):
    @cached_property
    def worker_fixup(self) -> _WorkerFixup:
        return _WorkerFixup(self.app)


def fixup(app: Celery) -> DjangoFixup:
    """What Celery calls with its application, in place of its own fixup for Django."""
    found = _Fixup(app)
    found.install()
    return found
