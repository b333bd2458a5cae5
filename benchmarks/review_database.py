# ruff: noqa: E501 - statements of SQL in one line each, out of constants
"""A review database of as many submissions as one likes, filled inside the database with numbers that follow from the row
and the seed alone: the same database every time. Import it behind `django.setup()`.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, models, transaction

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.catalog.models import Backend, ModelCard, Variant
from portal.feedback.models import Answer, Question, Submission
from portal.playground.models import Conversation, Generation
from portal.reviews.models import ContributorRecord, DailyCount, Event, GoldItem, QueuePolicy, Review, ReviewItem

CONTRIBUTORS: Final = 2_000
REVIEWERS: Final = 20
CARDS: Final = 12
DAYS: Final = 365
# Every so many items one that reviewers are measured by, if it is decided.
GOLD_EVERY: Final = 5_000
POSTGRES: Final = connection.vendor == "postgresql"
# Of a hundred items: decided, waiting, to be adjudicated, asked, quarantined, withdrawn.
STATES: Final = (
    (88, "decided"), (96, "waiting"), (97, "adjudication"), (98, "question"), (99, "quarantined"), (100, "withdrawn"),
)  # fmt: skip
OUTCOMES: Final = ((70, "accept"), (88, "reject"), (94, "duplicate"), (100, "spam"))
REASONS: Final = ((40, "unfounded"), (70, "unclear"), (85, "off-topic"), (100, "expected"))
LANGUAGES: Final = ((60, "en"), (85, "de"), (92, "fr"), (97, "es"), (100, "it"))


class Columns:
    """SQL for the columns of the row number `i`, in the words of the database at hand."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw(self, stream: int, below: int) -> str:
        """A number from 0 that looks random: two steps of a Lehmer generator from the row's number."""
        start = f"(i + {stream * 1_000_003 + self.seed})"
        return f"(({start} * 48271 % 2147483647) * 69621 % 2147483647 % {below})"

    def one_of(self, stream: int, shares: tuple[tuple[int, str], ...]) -> str:
        """A word, by cumulated percentages."""
        drawn = self.draw(stream, 100)
        whens = " ".join(f"WHEN {drawn} < {edge} THEN '{word}'" for edge, word in shares[:-1])
        return f"CASE {whens} ELSE '{shares[-1][1]}' END"

    def uuid(self, space: int, number: str = "i") -> str:
        if POSTGRES:
            return f"(lpad(to_hex({space}), 8, '0') || lpad(to_hex({number}), 24, '0'))::uuid"
        return f"printf('%08x%024x', {space}, {number})"

    def moment(self, seconds: str) -> str:
        """So many seconds after the beginning, a year ago."""
        if POSTGRES:
            return f"(date_trunc('day', now()) - interval '{DAYS} days' + ({seconds}) * interval '1 second')"
        return f"datetime('now', 'start of day', '-{DAYS} days', '+' || ({seconds}) || ' seconds')"


def fill(model: type[models.Model], rows: int, where: str = "1 = 1", **columns: str) -> None:
    """Insert a row for each number from 1 to `rows` that fits; columns that are not named get their defaults."""
    names, values, parameters = [], [], []
    for field in model._meta.concrete_fields:  # noqa: SLF001
        if field.attname in columns:
            values.append(columns[field.attname])
        elif field.primary_key or field.generated:
            continue
        else:
            values.append("%s")
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
        names.append(connection.ops.quote_name(field.column))
    numbers = f"generate_series(1::bigint, {rows}) AS i" if POSTGRES else "numbers"
    prefix = (
        ""
        if POSTGRES
        else f"WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {rows}) "
    )
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
    escaped = [value if value == "%s" else value.replace("%", "%%") for value in values]
    escaped = [value.replace("printf('%%%%", "printf('%%") for value in escaped]
    sql = f"INSERT INTO {table} ({', '.join(names)}) {prefix}SELECT {', '.join(escaped)} FROM {numbers} WHERE {where.replace('%', '%%')}"
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
    print(f"  {model.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def build(rows: int, seed: int) -> None:
    """Fill the database; refuses one that holds submissions already."""
    call_command("migrate", verbosity=0)
    if Submission.objects.exists():
        sys.exit("The database holds submissions already; build into an empty one.")
    sql = Columns(seed)
    with transaction.atomic():
        people = _people()
        variants = _variants()
        _runs(sql, rows, people, variants)
        _submissions(sql, rows, people, variants)
        _reviews(sql, rows, people, variants)
        _totals()
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Answer, ReviewItem, GoldItem, Review, Event]):
            cursor.execute(statement)
        cursor.execute("ANALYZE")


def _people() -> tuple[int, int]:
    """The first contributor's and the first reviewer's key; the others follow."""
    User.objects.bulk_create(User(username=f"contributor{number}") for number in range(CONTRIBUTORS))
    first = User.objects.get(username="contributor0").pk
    reviewers = [User.objects.create(username=f"reviewer{number}", is_staff=True) for number in range(REVIEWERS)]
    for reviewer in reviewers:
        reviewer.groups.add(Group.objects.get(name=Role.REVIEWER.value))
    User.objects.create(username="chief", is_staff=True, is_superuser=True)
    return first, reviewers[0].pk


def _variants() -> int:
    """The first variant's key; two for each card, one after the other."""
    first = 0
    for number in range(CARDS):
        card = ModelCard.objects.create(owner_name="bench", slug=f"model-{number}", title=f"Model {number}")
        for slug in ("bf16", "q4"):
            made = Variant.objects.create(card=card, slug=slug, backend=Backend.TRANSFORMERS, source="weights/none")
            first = first or made.pk
    return first


def _runs(sql: Columns, rows: int, people: tuple[int, int], variants: int) -> None:
    owner = f"({people[0]} + {sql.draw(1, CONTRIBUTORS)})"
    at = sql.moment(f"i * {DAYS * 86_400 - 3_600} / {rows}")
    text = "'Explain to a child of ' || (i % 90) || ' what a steelyard weighs, and how, number ' || i"
    fill(Conversation, rows, id=sql.uuid(1), owner_id=owner, title=text, created_at=at, updated_at=at)
    fill(
        Generation, rows, id=sql.uuid(2), conversation_id=sql.uuid(1), variant_id=f"({variants} + {sql.draw(2, 2 * CARDS)})",
        request_key=sql.uuid(3), prompt=text, messages="'[]'", params="'{\"temperature\": 0.7, \"top_p\": 0.9, \"seed\": 7}'",
        output="'A balance with two arms of unequal length. Number ' || i", state="'succeeded'", finish_reason="'stop'",
        created_at=at, queued_at=at, dispatch_after=at, finished_at=at,
    )  # fmt: skip


def _submissions(sql: Columns, rows: int, people: tuple[int, int], variants: int) -> None:
    questions = {
        question.key: question
        for question in Question.objects.filter(questionnaire__slug="answer-quality", questionnaire__is_current=True)
    }
    thumb = questions["thumb"]
    state = sql.one_of(3, STATES)
    review_state = (
        f"CASE {state} WHEN 'decided' THEN CASE {sql.one_of(4, OUTCOMES)} WHEN 'accept' THEN 'accepted' WHEN 'reject'"
        f" THEN 'rejected' ELSE {sql.one_of(4, OUTCOMES)} END WHEN 'question' THEN 'needs_information'"
        f" WHEN 'waiting' THEN 'unreviewed' ELSE 'in_review' END"
    )
    at = sql.moment(f"i * {DAYS * 86_400 - 3_600} / {rows}")
    variant = f"({variants} + {sql.draw(2, 2 * CARDS)})"
    card = ModelCard.objects.get(slug="model-0").pk
    fill(
        Submission, rows, id=sql.uuid(4), target="'generation'", generation_id=sql.uuid(2), variant_id=variant,
        card_id=f"({card} + {sql.draw(2, 2 * CARDS)} / 2)", questionnaire_id=str(thumb.questionnaire_id),
        questionnaire_slug="'answer-quality'", owner_id=f"({people[0]} + {sql.draw(1, CONTRIBUTORS)})",
        language=sql.one_of(5, LANGUAGES), review_state=review_state, created_at=at, changed_at=at, shown="'{}'",
        withdrawn_at=f"CASE WHEN {state} = 'withdrawn' THEN {at} END",
    )  # fmt: skip
    lives = f"{state} <> 'withdrawn'"
    up = f"CASE WHEN {sql.draw(6, 100)} < 65 THEN 'up' ELSE 'down' END"
    fill(Answer, rows, lives, submission_id=sql.uuid(4), question_id=str(thumb.pk), choice=up)
    comment = "'The sentence about the longer arm is wrong in number ' || i || ', as far as I can see it.'"
    fill(
        Answer, rows, f"{lives} AND {sql.draw(7, 100)} < 30",
        submission_id=sql.uuid(4), question_id=str(questions["comment"].pk), text=comment,
    )  # fmt: skip


def _reviews(sql: Columns, rows: int, people: tuple[int, int], variants: int) -> None:
    state, outcome = sql.one_of(3, STATES), sql.one_of(4, OUTCOMES)
    decided = f"({state} = 'decided')"
    seconds = f"i * {DAYS * 86_400 - 3_600} / {rows}"
    decided_at = sql.moment(f"{seconds} + 600 + {sql.draw(8, 400_000)}")
    reason = f"CASE WHEN {decided} AND {outcome} = 'reject' THEN {sql.one_of(9, REASONS)} ELSE '' END"
    card = ModelCard.objects.get(slug="model-0").pk
    live = f"{state} <> 'withdrawn'"
    gold = f"{decided} AND i % {GOLD_EVERY} = 0"
    boolean = "{}" if POSTGRES else "CAST({} AS INTEGER)"
    fill(
        ReviewItem, rows, id="i", submission_id=sql.uuid(4), policy_id=str(QueuePolicy.objects.get(is_current=True).pk),
        entered_by="'all'", entered_at=sql.moment(seconds), priority=f"({sql.draw(10, 21)} - 10)", state=state,
        is_claimable=boolean.format(f"({state} IN ('waiting', 'adjudication'))"),
        is_quarantined=boolean.format(f"({state} = 'quarantined')"), outcome=f"CASE WHEN {decided} THEN {outcome} ELSE '' END",
        reason=reason, decided_at=f"CASE WHEN {decided} THEN {decided_at} END",
        verdict_count=f"CASE WHEN {state} IN ('decided', 'adjudication') THEN 2 ELSE 0 END", target_kind="'generation'",
        card_id=f"({card} + {sql.draw(2, 2 * CARDS)} / 2)", variant_id=f"({variants} + {sql.draw(2, 2 * CARDS)})",
        questionnaire="'answer-quality'", language=sql.one_of(5, LANGUAGES), signs="'[]'",
        thumb=f"CASE WHEN {live} THEN CASE WHEN {sql.draw(6, 100)} < 65 THEN 'up' ELSE 'down' END ELSE '' END",
        is_gold=boolean.format(f"({gold})"),
    )  # fmt: skip
    fill(GoldItem, rows, gold, item_id="i", verdict=outcome, created_at=decided_at)
    for place in range(2):
        fill(
            Review, rows, f"{state} = 'decided'", item_id="i",
            reviewer_id=f"({people[1]} + ({sql.draw(11, REVIEWERS)} + {place} * 7) % {REVIEWERS})",
            verdict=outcome, reason=reason, submission_version="1", created_at=decided_at, labels="'[]'", answers="'{}'",
            active_s=f"(5 + {sql.draw(12, 90)})", elapsed_s=f"(10 + {sql.draw(12, 90)})",
        )  # fmt: skip
    fill(
        Event, rows, at=sql.moment(seconds), target="'reviews.reviewitem'", target_id="CAST(i AS VARCHAR(40))",
        action="'entered'", changes="'{}'",
    )  # fmt: skip


def _totals() -> None:
    """The counts that the portal keeps with every change, of all rows at once."""
    items, counts = ReviewItem._meta.db_table, DailyCount._meta.db_table  # noqa: SLF001
    facets = "COALESCE(card_id, 0), COALESCE(variant_id, 0), language, questionnaire"
    hours = (
        "EXTRACT(EPOCH FROM decided_at - entered_at) / 3600"
        if POSTGRES
        else "(julianday(decided_at) - julianday(entered_at)) * 24"
    )
    day = "(entered_at AT TIME ZONE 'UTC')::date" if POSTGRES else "date(entered_at)"
    classes = f"CASE WHEN {hours} <= 1 THEN 0 WHEN {hours} <= 4 THEN 1 WHEN {hours} <= 24 THEN 2 WHEN {hours} <= 72 THEN 3 WHEN {hours} <= 168 THEN 4 ELSE 5 END"
    columns = "(day, flow, card, variant, language, questionnaire, campaign, reason, hours_class, count)"
    records, submissions = ContributorRecord._meta.db_table, Submission._meta.db_table  # noqa: SLF001
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {counts} {columns} SELECT {day}, 'entered', {facets}, '', '', 0, COUNT(*) FROM {items}"
            f" GROUP BY {day}, card_id, variant_id, language, questionnaire"
        )
        decided_day = day.replace("entered_at", "decided_at")
        cursor.execute(
            f"INSERT INTO {counts} {columns} SELECT {decided_day}, outcome, {facets}, '', reason, {classes}, COUNT(*)"
            f" FROM {items} WHERE outcome <> '' GROUP BY {decided_day}, outcome, card_id, variant_id, language,"
            f" questionnaire, reason, {classes}"
        )
        cursor.execute(
            f"INSERT INTO {records} (owner_id, given, accepted, rejected, duplicates, spam) SELECT owner_id, COUNT(*),"
            " SUM(CASE review_state WHEN 'accepted' THEN 1 ELSE 0 END), SUM(CASE review_state WHEN 'rejected' THEN 1 ELSE 0 END),"
            " SUM(CASE review_state WHEN 'duplicate' THEN 1 ELSE 0 END), SUM(CASE review_state WHEN 'spam' THEN 1 ELSE 0 END)"
            f" FROM {submissions} GROUP BY owner_id"
        )
