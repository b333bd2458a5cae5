# ruff: noqa: E402 - Django is set up before its models are read
"""A review database of a million submissions, and what its pages cost then.

    DATABASE_URL=… python -m benchmarks.million_submissions build --rows 1000000
    DATABASE_URL=… python -m benchmarks.million_submissions measure

`build` fills an empty database (benchmarks.review_database). `measure` asks each page through Django's own client,
without a network, and says the median, the 95th percentile and the number of queries.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from benchmarks.review_database import REVIEWERS, build
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.models import ModelCard, Variant
from portal.feedback.services import submit_feedback
from portal.playground.models import Conversation, Generation
from portal.reviews.models import Review, ReviewItem

REQUESTS: Final = 40


def measure(requests: int) -> None:
    """Print a table: page, median, 95th percentile, queries."""
    chief = User.objects.get(username="chief")
    client = Client(HTTP_HOST="localhost")
    client.force_login(chief)
    draw = random.Random(6)
    newest = ReviewItem.objects.order_by("-id").values_list("id", flat=True)[0]
    card, variant = ModelCard.objects.get(slug="model-3"), Variant.objects.filter(card__slug="model-3").first()
    assert variant is not None
    queue = reverse("reviews:queue")
    cursor = ReviewItem.objects.get(pk=newest // 2)
    pages: list[tuple[str, Callable[[], str]]] = [
        ("queue", lambda: queue),
        ("queue, open", lambda: f"{queue}?state=open"),
        ("queue, waiting of a card", lambda: f"{queue}?state=waiting&card={card.pk}"),
        ("queue, variant, thumb, language", lambda: f"{queue}?variant={variant.pk}&thumb=down&language=it"),
        (
            "queue, spam of a day",
            lambda: f"{queue}?outcome=spam&since={cursor.entered_at:%Y-%m-%d}&until={cursor.entered_at:%Y-%m-%d}",
        ),
        (
            "queue, page 10,000",
            lambda: f"{queue}?before={cursor.entered_at.isoformat().replace('+', '%2B')}~{cursor.pk}",
        ),
        ("item", lambda: reverse("reviews:item", args=[draw.randint(1, newest)])),
        ("overview, 30 days", lambda: reverse("reviews:overview")),
        (
            "overview, a year of a card",
            lambda: (
                f"{reverse('reviews:overview')}?since={ReviewItem.objects.get(pk=1).entered_at:%Y-%m-%d}&card={card.pk}"
            ),
        ),
        ("history", lambda: reverse("reviews:history")),
        ("admin: items", lambda: reverse("admin:reviews_reviewitem_changelist")),
        (
            "admin: items, state and card",
            lambda: f"{reverse('admin:reviews_reviewitem_changelist')}?state__exact=waiting&card={card.pk}",
        ),
        ("admin: verdicts", lambda: reverse("admin:reviews_review_changelist")),
        ("admin: history", lambda: reverse("admin:reviews_event_changelist")),
        ("admin: one item", lambda: reverse("admin:reviews_reviewitem_change", args=[draw.randint(1, newest)])),
    ]
    print(f"{ReviewItem.objects.count():,} items, {Review.objects.count():,} verdicts on {connection.vendor}")
    print(f"{'page':<36}{'median ms':>10}{'p95 ms':>8}{'queries':>9}")
    for name, address in pages:
        print(_line(name, *_timed_page(client, address, requests)), flush=True)
    reviewing = Client(HTTP_HOST="localhost")
    reviewing.force_login(User.objects.get(username="reviewer0"))
    for name, query in (("waiting", "state=waiting"), ("waiting of a variant", f"state=waiting&variant={variant.pk}")):
        path = f"{queue}?{query}"
        print(
            _line(f"queue of a reviewer, {name}", *_timed_page(reviewing, lambda path=path: path, requests)), flush=True
        )
    print(_line("claim the next item", *_timed_claims(requests)), flush=True)
    print(_line("submit a judgement", *_timed_submissions(variant, requests)), flush=True)


def _line(name: str, times_ms: list[float], queries: str) -> str:
    ordered = sorted(times_ms)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"{name:<36}{statistics.median(ordered):>10.1f}{p95:>8.1f}{queries:>9}"


def _timed_page(client: Client, address: Callable[[], str], requests: int) -> tuple[list[float], str]:
    times, queries = [], set()
    for number in range(requests + 1):
        path = address()
        began = time.perf_counter()
        if number == 0:
            with CaptureQueriesContext(connection) as captured:
                response = client.get(path)
            queries.add(len(captured))
        else:
            response = client.get(path)
            times.append(1_000 * (time.perf_counter() - began))
        if response.status_code != 200:
            sys.exit(f"{path} answered {response.status_code}")
    return times, str(max(queries))


def _timed_claims(requests: int) -> tuple[list[float], str]:
    from portal.reviews.services.claims import claim_next  # noqa: PLC0415

    times = []
    for number in range(requests):
        reviewer = User.objects.get(username=f"reviewer{number % REVIEWERS}")
        began = time.perf_counter()
        item = claim_next(reviewer, chance=1.0)
        times.append(1_000 * (time.perf_counter() - began))
        assert item is not None
        item.release(reviewer)
    return times, ""


def _timed_submissions(variant: Variant, requests: int) -> tuple[list[float], str]:
    times = []
    for number in range(requests):
        owner = User.objects.get(username=f"contributor{number}")
        conversation = Conversation.objects.create(owner=owner, title="Benchmark")
        generation = Generation.objects.create(
            conversation=conversation, variant=variant, prompt="Prompt", messages=[], params={}, output="Answer",
            state="succeeded", finished_at=conversation.created_at,
        )  # fmt: skip
        answers: dict[str, Any] = {
            "thumb": "down",
            "comment": f"The second sentence of this answer is wrong, {number}.",
        }
        began = time.perf_counter()
        submit_feedback(Actor(user=owner), generation, answers)
        times.append(1_000 * (time.perf_counter() - began))
    return times, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="fill an empty database")
    building.add_argument("--rows", type=int, default=1_000_000)
    building.add_argument("--seed", type=int, default=6)
    measuring = commands.add_parser("measure", help="measure the pages")
    measuring.add_argument("--requests", type=int, default=REQUESTS)
    arguments = parser.parse_args()
    if arguments.command == "build":
        began = time.monotonic()
        build(arguments.rows, arguments.seed)
        print(f"{arguments.rows:,} submissions in {time.monotonic() - began:.0f} s")
    else:
        measure(arguments.requests)


if __name__ == "__main__":
    main()
