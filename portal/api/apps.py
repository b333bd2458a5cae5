from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "portal.api"

    def ready(self) -> None:
        # drf-spectacular finds an extension once its module was imported.
        from portal.api import schema  # noqa: F401, PLC0415
