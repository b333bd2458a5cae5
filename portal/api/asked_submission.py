"""What a body says is judged, and with which questions; and what in it looks like personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.translation import gettext as _

from portal.accounts.actors import Actor
from portal.api.problems import FieldError, Problem, pointer
from portal.api.submission_rows import KEEP, REFUSE
from portal.catalog.access import get_card
from portal.feedback import answer_quality, token_choice
from portal.feedback.access import get_asked, get_campaign, get_judged_comparison
from portal.feedback.campaign_services import send_answers
from portal.feedback.models import Campaign, Questionnaire, Submission
from portal.feedback.personal_data_check import PersonalDatum, personal_data_in, without
from portal.feedback.queries import answer_questionnaire
from portal.feedback.services import Judged, said_before, submit_feedback, submit_report
from portal.feedback.terms import Terms, terms_after
from portal.feedback.token_choice import version_before
from portal.feedback.wording import available_languages
from portal.playground.access import get_generation
from portal.playground.models import Generation

TARGETS: Final = ("generation", "comparison", "card", "campaign")


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that may be judged by this person, and the questions."""

    target: Judged
    questionnaire: Questionnaire

    @property
    def known(self) -> str:
        """The text that is answered to, whose words are nobody's personal data."""
        return self.target.output if isinstance(self.target, Generation) else ""


def read_asked(actor: Actor, given: Mapping[str, Any]) -> Asked:
    """Raises ValidationError, and Http404 for what is not there or is somebody else's."""
    assert actor.user is not None
    named = [name for name in TARGETS if name in given]
    if len(named) != 1:
        raise ValidationError({name: _("Name one of: %s.") % ", ".join(TARGETS) for name in named or TARGETS})
    slug = given.get("questionnaire", "")
    match named[0]:
        case "generation":
            generation = get_generation(actor, given["generation"])
            return Asked(generation, _asked_about_answer(generation, slug or answer_quality.SLUG))
        case "campaign":
            campaign = get_campaign(actor.user, given["campaign"])
            if slug and slug != campaign.questionnaire.slug:
                raise ValidationError({"questionnaire": _("This campaign asks %s.") % campaign.questionnaire.slug})
            return Asked(campaign, campaign.questionnaire)
    if not slug:
        raise ValidationError({"questionnaire": _("Say which questionnaire is answered.")})
    if named[0] == "comparison":
        return Asked(get_judged_comparison(actor, given["comparison"]), get_asked("on_comparisons", slug))
    owner_name, card_slug = given["card"].split("/")
    return Asked(get_card(actor.user, owner_name, card_slug), get_asked("on_cards", slug))


def give(actor: Actor, asked: Asked, given: Mapping[str, Any]) -> Submission:
    """Store what was given by the service that the page of such things calls. Raises as that does."""
    answers, version = given["answers"], given.get("version")
    before = said_before(actor, asked.target, asked.questionnaire.slug).first()
    terms = terms_after(before, given.get("consent", ""), given.get("licence", ""))
    match asked.target:
        case Campaign() as campaign:
            language = _language(campaign, given.get("language", ""))
            if terms is None and before is not None and campaign.is_once:
                terms = Terms(before.consent, before.licence)  # type: ignore[arg-type]
            return send_answers(actor, campaign, answers, terms or Terms(), version, language)
        case Generation() as generation if asked.questionnaire.slug == answer_quality.SLUG:
            return submit_feedback(actor, generation, answers, version, terms)
        case target:
            return submit_report(actor, target, asked.questionnaire, answers, terms, version)


def found_in(asked: Asked, answers: Mapping[str, Any]) -> list[PersonalDatum]:
    """What looks like personal data, as the pages find it."""
    return personal_data_in(asked.questionnaire.questions.all(), answers, asked.known)


def without_personal_data(asked: Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answers as `personal_data` wishes. Raises Problem, personal-data, where it refuses what was found."""
    answers: dict[str, Any] = given["answers"]
    choice = given.get("personal_data", REFUSE)
    found = found_in(asked, answers) if choice != KEEP else []
    if found and choice == REFUSE:
        sentence = _("“%(text)s” looks like: %(kind)s.")
        errors = tuple(
            FieldError(
                sentence % {"text": datum.finding.text[:80], "kind": datum.finding.name}, pointer=place_of(datum)
            )
            for datum in found
        )
        raise Problem(
            "personal-data",
            _("Nothing was stored. Take it out, or send personal_data: redact replaces it, keep leaves it there."),
            errors,
            extra={"personal_data": [datum_json(datum) for datum in found]},
        )
    return redacted(found, answers)


def redacted(found: Iterable[PersonalDatum], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers with everything that was found replaced."""
    found = list(found)
    return without(found, {datum.name for datum in found}, answers)


def datum_json(datum: PersonalDatum) -> dict[str, Any]:
    finding = datum.finding
    return {
        "pointer": place_of(datum),
        "kind": finding.kind,
        "start": finding.start,
        "end": finding.end,
        "text": finding.text,
        "replacement": finding.replacement,
    }


def place_of(datum: PersonalDatum) -> str:
    """The JSON Pointer of the text that it stands in."""
    place = datum.place
    return pointer("answers", place.key) if place.mark is None else pointer("answers", place.key, place.mark, "note")


def _asked_about_answer(generation: Generation, slug: str) -> Questionnaire:
    if slug == answer_quality.SLUG:
        return answer_questionnaire()
    if slug != token_choice.SLUG:
        return get_asked("on_answers", slug)
    if version_before(generation) is None:
        raise Http404
    return Questionnaire.objects.prefetch_related("questions").get(slug=slug, is_current=True)


def _language(campaign: Campaign, language: str) -> str:
    known = available_languages(campaign.questionnaire)
    if language and language not in known:
        raise ValidationError({"language": _("Must be one of: %(keys)s.") % {"keys": ", ".join(known)}})
    return language
