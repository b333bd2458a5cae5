from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "portal.exports"

    def ready(self) -> None:
        from portal.catalog.job_dispatch import add_kind  # noqa: PLC0415
        from portal.exports import receivers  # noqa: F401, PLC0415
        from portal.exports.models import Snapshot  # noqa: PLC0415
        from portal.exports.snapshot_records import snapshot_notes  # noqa: PLC0415
        from portal.feedback.contribution_notes import register_contribution_notes  # noqa: PLC0415

        add_kind(Snapshot)
        register_contribution_notes("snapshots", snapshot_notes)
