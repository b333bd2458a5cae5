from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "portal.feedback"

    def ready(self) -> None:
        from portal.feedback import receivers, retention  # noqa: F401, PLC0415
