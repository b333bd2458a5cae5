"""What a list of cards shows of each: read in one query without texts and weights' facts, and put into words once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Exists, F, Func, JSONField, OuterRef, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.catalog.card_marks import card_picture
from portal.catalog.card_metadata import describe_listed
from portal.catalog.models import Gate, ModelCard, Variant
from portal.catalog.variant_facts import short_count

MOST_LANGUAGES: Final = 3
# Of a card's metadata, which is long, these members alone leave the database.
_STATED: Final = ("license", "license_name", "license_link", "language", "thumbnail")


@dataclass(frozen=True, slots=True)
class ListedCard:
    """One card of a list."""

    title: str
    name: str
    address: str
    summary: str
    picture: SafeString
    badges: SafeString
    changed: SafeString


class _Member(Func):
    """A member of a JSON object as it is: Django's own transform makes a number of a text of digits on SQLite."""

    arity = 1
    output_field = JSONField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "JSON_QUOTE(JSON_EXTRACT(%(expressions)s, '$.%(name)s'))"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s -> '%(name)s')", **extra)


def for_a_list(cards: QuerySet[ModelCard]) -> QuerySet[ModelCard, Any]:
    """The columns that `listed_cards` reads, in one query."""
    runnable = Variant.objects.filter(card=OuterRef("pk"), is_runnable=True)
    return cards.values(
        "pk", "owner_name", "slug", "title", "summary", "is_published", "gate", "picture_name", "parameters",
        "updated_at",
        runs_here=Exists(runnable),
        revision=F("current_revision__number"),
        **{f"stated_{name}": _Member("current_revision__metadata", name=name) for name in _STATED},
    )  # fmt: skip


def listed_cards(rows: Iterable[Mapping[str, Any]]) -> list[ListedCard]:
    """Rows of `for_a_list` as they are shown, in the reader's language."""
    words = _Words()
    return [_listed(row, words) for row in rows]


class _Words:
    """The badges that many cards have, made once for a page."""

    def __init__(self) -> None:
        self.unpublished = _badge(_("Not published"), "warn")
        self.runs_here = {
            True: _badge(_("Runs here"), "good"),
            False: _badge(_("Does not run here"), "plain"),
        }
        self.gates: dict[str, str] = {
            Gate.AGREEMENT.value: _badge(_("By agreement"), "warn"),
            Gate.APPROVAL.value: _badge(_("By approval"), "warn"),
        }


def _listed(row: Mapping[str, Any], words: _Words) -> ListedCard:
    stated = describe_listed({name: row[f"stated_{name}"] for name in _STATED})
    owner_name, slug = row["owner_name"], row["slug"]
    license_name = stated.license.name if stated.license else ""
    return ListedCard(
        title=row["title"],
        name=f"{owner_name}/{slug}",
        address=reverse("catalog:card", args=[owner_name, slug]),
        summary=row["summary"],
        picture=card_picture(owner_name, slug, row["picture_name"], stated, row["revision"]),
        badges=mark_safe("".join(_badges(row, words, license_name, stated.languages))),  # noqa: S308 - each is escaped
        changed=_changed(row["updated_at"]),
    )


def _changed(at: datetime) -> SafeString:
    exact = localtime(at).isoformat()
    when = format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, naturaltime(at))
    return format_html(_("Changed {}"), when)


def _badges(
    row: Mapping[str, Any], words: _Words, license_name: str, languages: tuple[str, ...]
) -> Iterator[SafeString | str]:
    if not row["is_published"]:
        yield words.unpublished
    yield words.runs_here[row["runs_here"]]
    yield words.gates.get(row["gate"], "")
    if row["parameters"]:
        yield _badge(_("%(count)s parameters") % {"count": short_count(row["parameters"])})
    if license_name:
        yield _badge(license_name)
    for language in languages[:MOST_LANGUAGES]:
        yield _badge(language)
    if more := len(languages[MOST_LANGUAGES:]):
        yield _badge(ngettext("%(count)s more language", "%(count)s more languages", more) % {"count": more})


def _badge(words: str, tone: str = "") -> SafeString:
    return format_html('<span class="badge{}">{}</span>\n', f" badge--{tone}" if tone else "", words)
