"""Under which terms somebody gives what they say: how far it may go, and under which licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from portal.feedback.models import Consent, Submission

LICENCE_ADDRESS = "https://spdx.org/licenses/{}.html"


@dataclass(frozen=True, slots=True)
class Terms:
    """`licence` is one of the installation's list, by its SPDX identifier; empty stands for the list's first."""

    consent: Consent = Consent.PUBLISH
    licence: str = ""

    @property
    def chosen_licence(self) -> str:
        return self.licence or offered_licences()[0]


@dataclass(frozen=True, slots=True)
class Licence:
    name: str

    @property
    def url(self) -> str:
        return LICENCE_ADDRESS.format(self.name)


def offered_licences() -> list[str]:
    names: list[str] = settings.CONTRIBUTION_LICENCES
    return names


def terms_of(consent: str, licence: str) -> Terms:
    """Terms out of a form's or a request's texts; empty ones stand for the usual. Raises ValidationError by field."""
    errors = {}
    if consent and consent not in Consent.values:
        errors["consent"] = _("Must be one of: %(keys)s.") % {"keys": ", ".join(Consent.values)}
    if licence and licence not in offered_licences():
        errors["licence"] = _("Must be one of: %(keys)s.") % {"keys": ", ".join(offered_licences())}
    if errors:
        raise ValidationError(errors)
    return Terms(Consent(consent) if consent else Consent.PUBLISH, licence)


def terms_after(before: Submission | None, consent: str, licence: str) -> Terms | None:
    """What is given now in the place of what was agreed to before; None keeps that. Raises as `terms_of`."""
    given = terms_of(consent, licence)
    if not (consent or licence):
        return None
    if before is None:
        return given
    return Terms(given.consent if consent else Consent(before.consent), licence or before.licence)


@dataclass(frozen=True, slots=True)
class TermsChoice:
    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ShownTerms:
    """The terms as a form shows them."""

    consent_words: str
    licence: str
    consents: tuple[TermsChoice, ...]
    licences: tuple[TermsChoice, ...]
    errors: Mapping[str, list[str]]


def shown_terms(
    consent: str = "", licence: str = "", *, may_quote: bool = False, errors: Mapping[str, list[str]] | None = None
) -> ShownTerms:
    """`may_quote` offers to be quoted, which only a campaign's results do."""
    chosen = consent if consent in Consent.values else Consent.PUBLISH
    chosen_licence = licence or offered_licences()[0]
    offered = [each for each in Consent if may_quote or each != Consent.QUOTE or each == chosen]
    # A licence that is no longer offered stays what was agreed to.
    licences = dict.fromkeys([*offered_licences(), chosen_licence])
    return ShownTerms(
        consent_words=str(Consent(chosen).label),
        licence=chosen_licence,
        consents=tuple(TermsChoice(each.value, str(each.label), each == chosen) for each in offered),
        licences=tuple(TermsChoice(each, each, each == chosen_licence) for each in licences),
        errors=errors or {},
    )
