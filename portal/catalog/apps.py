from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CatalogConfig(AppConfig):
    name = "portal.catalog"

    def ready(self) -> None:
        from portal.catalog import receivers  # noqa: PLC0415
        from portal.catalog.event_mails import send_due_mails  # noqa: PLC0415
        from portal.catalog.mailing import add_outbox  # noqa: PLC0415
        from portal.catalog.models import EventMail  # noqa: PLC0415

        post_migrate.connect(receivers.make_search_table, sender=self)
        add_outbox(EventMail, send_due_mails)
