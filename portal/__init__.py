"""The Django project: everything that faces people."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
