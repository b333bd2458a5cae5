"""What the review database leaves to a worker."""

from celery import shared_task

from portal.reviews.services.replays import continue_replays


@shared_task(name="reviews.continue_replays")
def go_on_with_replays() -> None:
    """Every ten seconds."""
    continue_replays()
