from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    name = "portal.reviews"

    def ready(self) -> None:
        from portal.catalog.mailing import add_outbox  # noqa: PLC0415
        from portal.feedback.contribution_notes import register_contribution_notes  # noqa: PLC0415
        from portal.reviews import receivers  # noqa: F401, PLC0415
        from portal.reviews.models import Notice  # noqa: PLC0415
        from portal.reviews.queries.limitations import limitation_notes  # noqa: PLC0415
        from portal.reviews.services.notice_mails import send_due_notices  # noqa: PLC0415

        add_outbox(Notice, send_due_notices)
        register_contribution_notes("limitations", limitation_notes)
