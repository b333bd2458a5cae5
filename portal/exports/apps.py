from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "portal.exports"

    def ready(self) -> None:
        from portal.catalog.job_dispatch import add_kind  # noqa: PLC0415
        from portal.exports import receivers  # noqa: F401, PLC0415
        from portal.exports.models import Snapshot  # noqa: PLC0415

        add_kind(Snapshot)
