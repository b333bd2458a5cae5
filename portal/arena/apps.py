from django.apps import AppConfig


class ArenaConfig(AppConfig):
    name = "portal.arena"

    def ready(self) -> None:
        from portal.arena import receivers, retention  # noqa: F401, PLC0415
