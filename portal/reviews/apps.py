from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    name = "portal.reviews"

    def ready(self) -> None:
        from portal.reviews import receivers  # noqa: F401, PLC0415
