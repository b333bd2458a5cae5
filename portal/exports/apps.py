from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ExportsConfig(AppConfig):
    name = "portal.exports"

    def ready(self) -> None:
        from portal.catalog.job_dispatch import add_kind  # noqa: PLC0415
        from portal.exports import receivers  # noqa: PLC0415
        from portal.exports.models import Snapshot  # noqa: PLC0415
        from portal.exports.snapshot_records import snapshot_notes  # noqa: PLC0415
        from portal.feedback.contribution_notes import register_contribution_notes  # noqa: PLC0415

        post_migrate.connect(receivers.settle_changes, sender=self)
        add_kind(Snapshot)
        register_contribution_notes("snapshots", snapshot_notes)
