"""Maintainers make questionnaires: every kind, conditions, order, languages, versions, and two editors at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.feedback.queries import answer_questionnaire
from tests.conftest import signed_in
from tests.feedback.judgements import judge

pytestmark = pytest.mark.django_db

LIST = "/feedback/questionnaires/"
DRAFT = f"{LIST}trial/1/"
LINES = "a | First\nSecond thing"
FIELDS: dict[QuestionKind, dict[str, Any]] = {
    QuestionKind.THUMB: {"choices": ""},
    QuestionKind.YES_NO: {},
    QuestionKind.RATING: {"low": "0", "high": "10", "anchors": "0 | Never\n10 | Always"},
    QuestionKind.CHOICE: {"choices": LINES},
    QuestionKind.CHOICES: {"choices": LINES, "most": "1"},
    QuestionKind.RANKING: {"choices": LINES, "ties": "on"},
    QuestionKind.TEXT: {"max_characters": "300"},
    QuestionKind.NUMBER: {"low": "0", "high": "9.5", "decimals": "1", "unit": "GB"},
    QuestionKind.DATE: {"first_day": "2026-01-01", "last_day": "2026-12-31"},
    QuestionKind.SPANS: {"choices": LINES},
    QuestionKind.CORRECTION: {"max_characters": "500"},
    QuestionKind.TOKEN: {},
    QuestionKind.MATRIX: {"rows": LINES, "columns": LINES, "whole": "on"},
}


def draft() -> Questionnaire:
    return Questionnaire.objects.get(slug="trial", version=1)


def begin(client: Client) -> None:
    assert client.post(f"{LIST}new/", {"title": "A trial", "slug": "trial"})["Location"] == DRAFT


def add(client: Client, kind: QuestionKind, key: str = "", **fields: Any) -> Any:
    data = {"label": f"Q {kind}", "key": key or kind.value, "revision": draft().revision, **FIELDS[kind], **fields}
    return client.post(f"{DRAFT}questions/?kind={kind}", data)


def step(client: Client, address: str, **data: Any) -> Any:
    return client.post(f"{DRAFT}{address}", {"revision": draft().revision, **data})


def test_every_kind_is_made_shown_and_published(maintainer_client: Client) -> None:
    begin(maintainer_client)
    for kind in QuestionKind:
        assert add(maintainer_client, kind).status_code == 302, kind
    page = maintainer_client.get(DRAFT).content.decode()
    assert page.count("preview__question") >= len(QuestionKind)
    assert "Second thing" in page
    # Marks need an answer, so it has to be asked about answers before it can be published.
    step(maintainer_client, "publish/")
    assert draft().is_draft
    settings = {"title": "A trial", "intro": "**Thanks**", "language": "en", "on_answers": "on"}
    assert step(maintainer_client, "settings/", **settings).status_code == 302
    step(maintainer_client, "publish/")
    published = draft()
    assert (published.is_current, published.is_draft) == (True, False)
    assert published.questions.get(key="ranking").options["choices"][1] == {
        "key": "second-thing",
        "label": "Second thing",
    }


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (QuestionKind.RATING, {"low": "5", "high": "1"}, "at most 11 steps"),
        (QuestionKind.RATING, {"anchors": "11 | Too far"}, "from 0 to 10"),
        (QuestionKind.CHOICE, {"choices": "only one"}, "Needs 2 to 50 lines; these are 1."),
        (QuestionKind.CHOICE, {"choices": "a | A\na | B"}, "twice there is: a"),
        (QuestionKind.CHOICE, {"choices": "A B | A\nb | B"}, "is no key"),
        (QuestionKind.TEXT, {"max_characters": "99999"}, "from 1 to 32000"),
        (QuestionKind.NUMBER, {"low": "3", "high": "2"}, "larger than the smallest"),
        (QuestionKind.DATE, {"first_day": "2027-01-01"}, "before the first day"),
        (QuestionKind.YES_NO, {"condition": "below=yes"}, "valid choice"),
        (QuestionKind.YES_NO, {"key": "has space"}, "slug"),
    ],
)
def test_what_cannot_be_asked_is_refused_beside_its_field(
    maintainer_client: Client, kind: QuestionKind, fields: dict[str, Any], words: str
) -> None:
    begin(maintainer_client)
    response = add(maintainer_client, kind, **fields)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not draft().questions.exists()


def test_a_condition_looks_up_and_is_not_broken_by_moving_or_removing(maintainer_client: Client) -> None:
    begin(maintainer_client)
    add(maintainer_client, QuestionKind.YES_NO, "first")
    add(maintainer_client, QuestionKind.TEXT, "second", condition="first=yes")
    add(maintainer_client, QuestionKind.DATE, "third")
    assert draft().questions.get(key="second").show_if == {"key": "first", "equals": "yes"}
    for refused in (("questions/second/move/", {"direction": "up"}), ("questions/first/remove/", {})):
        response = maintainer_client.post(
            f"{DRAFT}{refused[0]}", {"revision": draft().revision, **refused[1]}, follow=True
        )
        assert "has to be asked above" in response.content.decode()
    step(maintainer_client, "questions/third/move/", direction="up")
    assert list(draft().questions.values_list("key", flat=True)) == ["first", "third", "second"]
    step(maintainer_client, "questions/second/remove/")
    assert list(draft().questions.values_list("key", "position")) == [("first", 0), ("third", 1)]


def test_removing_a_question_asks_once(maintainer_client: Client) -> None:
    begin(maintainer_client)
    add(maintainer_client, QuestionKind.YES_NO, "first")
    page = maintainer_client.get(DRAFT).text
    [asked] = [each for each in page.split("<details")[1:] if "questions/first/remove/" in each]
    before, _form, _after = asked.partition("<form")
    assert "Remove…" in before
    assert "cannot be brought back" in asked.partition("</details>")[0]


def test_a_published_version_is_never_rewritten_and_a_change_makes_the_next(
    maintainer_client: Client, alice: User
) -> None:
    old = answer_questionnaire()
    judge(alice)
    address = f"{LIST}{old.slug}/{old.version}/"
    for part in ("settings/", "questions/?kind=text", "questions/thumb/", "translations/de/"):
        assert maintainer_client.get(f"{address}{part}").status_code == 404, part
    for part in ("publish/", "discard/", "questions/thumb/remove/", "questions/thumb/move/"):
        assert maintainer_client.post(f"{address}{part}", {"revision": "1", "direction": "up"}).status_code == 404, part
    response = maintainer_client.post(f"{address}draft/")
    assert response["Location"] == f"{LIST}{old.slug}/{old.version + 1}/"
    assert maintainer_client.post(f"{address}draft/")["Location"] == response["Location"]
    new = Questionnaire.objects.get(slug=old.slug, version=old.version + 1)
    copied = ("key", "kind", "label", "options", "show_if", "position")
    assert list(new.questions.values(*copied)) == list(old.questions.values(*copied))
    assert answer_questionnaire() == old
    maintainer_client.post(f"{response['Location']}publish/", {"revision": new.revision})
    assert answer_questionnaire() == new
    assert Question.objects.filter(questionnaire=old).count() == len(old.questions.all())


def test_of_two_editors_the_second_sees_both(maintainer_client: Client) -> None:
    begin(maintainer_client)
    add(maintainer_client, QuestionKind.TEXT, "why")
    stale = draft().revision
    add_fields = {"key": "why", "max_characters": "300", "help": ""}
    first = maintainer_client.post(f"{DRAFT}questions/why/", {**add_fields, "label": "Why so?", "revision": stale})
    assert first.status_code == 302
    second = maintainer_client.post(f"{DRAFT}questions/why/", {**add_fields, "label": "How so?", "revision": stale})
    assert second.status_code == 409
    page = second.content.decode()
    assert "Why so?" in page
    assert 'value="How so?"' in page
    assert draft().questions.get().label == "Why so?"
    retry = maintainer_client.post(
        f"{DRAFT}questions/why/", {**add_fields, "label": "How so?", "revision": draft().revision}
    )
    assert retry.status_code == 302
    assert draft().questions.get().label == "How so?"
    settings = {"title": "Renamed", "intro": "", "language": "en", "revision": stale}
    conflict = maintainer_client.post(f"{DRAFT}settings/", settings)
    assert conflict.status_code == 409
    assert draft().title == "A trial"


def test_texts_are_translated_and_fall_back_to_what_was_written(maintainer_client: Client) -> None:
    begin(maintainer_client)
    add(maintainer_client, QuestionKind.CHOICE, "which")
    said = {".title": "Ein Versuch", "which.label": "Welches?", "which.choices.a": "Erstes"}
    step(maintainer_client, "translations/de/", **said)
    german = maintainer_client.get(f"{DRAFT}?language=de").content.decode()
    assert "Ein Versuch" in german
    assert "Welches?" in german
    assert "Erstes" in german
    assert "Second thing" in german
    assert "Welches?" not in maintainer_client.get(DRAFT).content.decode()
    too_long = step(maintainer_client, "translations/de/", **{"which.label": "x" * 10_001})
    assert too_long.status_code == 422
    stale = maintainer_client.post(f"{DRAFT}translations/de/", {**said, "revision": "1"})
    assert stale.status_code == 409
    assert maintainer_client.get(f"{DRAFT}translations/en/").status_code == 404
    assert maintainer_client.get(f"{DRAFT}translations/xx/").status_code == 404


def test_a_draft_can_be_discarded(maintainer_client: Client) -> None:
    begin(maintainer_client)
    assert "are deleted and cannot be brought back" in maintainer_client.get(DRAFT).text, "it asks once"
    assert step(maintainer_client, "discard/")["Location"] == LIST
    assert not Questionnaire.objects.filter(slug="trial").exists()


def test_a_name_is_taken_once(maintainer_client: Client) -> None:
    begin(maintainer_client)
    again = maintainer_client.post(f"{LIST}new/", {"title": "Another", "slug": "trial"})
    assert again.status_code == 422
    assert "There is a questionnaire of this name." in again.content.decode()


def test_the_pages_do_not_exist_but_for_maintainers(
    maintainer_client: Client, alice: User, reviewer: User, client: Client
) -> None:
    begin(maintainer_client)
    add(maintainer_client, QuestionKind.TEXT, "why")
    pages = (LIST, f"{LIST}new/", DRAFT, f"{DRAFT}settings/", f"{DRAFT}questions/why/", f"{DRAFT}translations/de/")
    for person in (alice, reviewer):
        browser = signed_in(person)
        for address in pages:
            assert browser.get(address).status_code == 404, address
        assert browser.post(f"{DRAFT}publish/", {"revision": "1"}).status_code == 404
    for address in pages:
        assert reverse("account_login") in client.get(address)["Location"]
    assert maintainer_client.get(f"{DRAFT}publish/").status_code == 405
    assert maintainer_client.post(LIST).status_code == 405


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    maintainer_client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        Questionnaire.objects.create(slug=f"many-{number}", title="Many")
    with django_assert_max_num_queries(8):
        assert maintainer_client.get(LIST).status_code == 200


def test_without_a_name_the_title_gives_one_that_nothing_has(maintainer_client: Client) -> None:
    for name in ("how-does-it-read", "how-does-it-read-2"):
        made = maintainer_client.post(f"{LIST}new/", {"title": "How does it read?", "slug": ""})
        assert made["Location"] == f"{LIST}{name}/1/"
    refused = maintainer_client.post(f"{LIST}new/", {"title": "", "slug": ""})
    assert refused.status_code == 422
    assert 'data-proposes="id_slug"' in refused.content.decode()


def test_without_a_key_the_question_gives_one_that_no_other_has_and_keeps_it(maintainer_client: Client) -> None:
    begin(maintainer_client)
    assert 'data-proposes="id_key"' in maintainer_client.get(f"{DRAFT}questions/?kind=yes_no").content.decode()
    for label in ("How odd is it?", "How odd, is it?", "ما هذا؟"):
        assert step(maintainer_client, "questions/?kind=yes_no", label=label, key="").status_code == 302
    assert [each.key for each in draft().questions.all()] == ["how-odd-is-it", "how-odd-is-it-2", "question"]
    one = f"{DRAFT}questions/how-odd-is-it-2/"
    assert "data-proposes" not in maintainer_client.get(one).content.decode()
    changed = maintainer_client.post(one, {"label": "How even is it?", "key": "", "revision": draft().revision})
    assert changed.status_code == 302
    assert draft().questions.get(key="how-odd-is-it-2").label == "How even is it?"


def test_publishing_says_once_that_it_cannot_be_changed(maintainer_client: Client) -> None:
    maintainer_client.post(f"{LIST}new/", {"title": "A trial", "slug": "trial"})
    page = maintainer_client.get(DRAFT).content.decode()
    asked = page[page.index("<details") : page.index("</details>")]
    assert f'action="{DRAFT}publish/"' in asked
    assert "Version 1 can never be changed afterwards" in asked
