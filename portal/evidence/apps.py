"""What this installation measured of a model, on its card."""

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "portal.evidence"
