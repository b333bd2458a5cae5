from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "portal.operations"

    def ready(self) -> None:
        # Registers the system checks.
        import portal.checks  # noqa: F401, PLC0415
