from django.apps import AppConfig


class PlaygroundConfig(AppConfig):
    name = "portal.playground"

    def ready(self) -> None:
        from portal.playground import receivers  # noqa: F401, PLC0415
