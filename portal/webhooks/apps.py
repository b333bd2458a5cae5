from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "portal.webhooks"

    def ready(self) -> None:
        from portal.webhooks import receivers  # noqa: F401, PLC0415
