"""Finds what looks like personal data in a text, and replaces it; pure.

Numbers count only with their right check digits, so that a finding is worth a look. It is a reminder to the person who
writes, and no proof that nothing is left.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import phonenumbers
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from stdnum import iban, luhn
from stdnum.be import nn as belgian_national
from stdnum.br import cpf
from stdnum.de import idnr as german_tax
from stdnum.es import dni as spanish_id
from stdnum.es import nie as spanish_foreigner
from stdnum.fi import hetu as finnish_personal
from stdnum.fr import nir as french_social
from stdnum.it import codicefiscale as italian_fiscal
from stdnum.nl import bsn as dutch_citizen
from stdnum.pl import pesel as polish_national
from stdnum.se import personnummer as swedish_personal
from stdnum.us import ssn as american_social

# What is longer is looked at in part: the first this many characters.
MAX_CHARACTERS: Final = 40_000
MAX_FINDINGS: Final = 100
# Shannon entropy per character above which a long word of mixed characters is a key rather than a name.
LEAST_KEY_ENTROPY: Final = 3.5
LEAST_KEY_CHARACTERS: Final = 24
_REGIONS: Final = (None, "US", "GB", "DE", "FR")


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end` of a text, counted in code points, look like something of `kind`."""

    start: int
    end: int
    kind: str
    text: str

    @property
    def replacement(self) -> str:
        return f"[{self.kind}]"

    @property
    def name(self) -> Promise | str:
        return KIND_NAMES[self.kind]


KIND_NAMES: Final[dict[str, Promise]] = {
    "email": _("e-mail address"),
    "phone": _("phone number"),
    "iban": _("bank account (IBAN)"),
    "card": _("payment card"),
    "identity": _("identity, tax or social security number"),
    "path": _("name of a file or folder"),
    "address": _("network address"),
    "key": _("key, token or password"),
}


def find_personal_data(text: str) -> list[Finding]:
    """Everything that looks like personal data, in the order of the text, without overlaps; the surest kind wins."""
    looked_at = text[:MAX_CHARACTERS]
    found: list[Finding] = []
    for finder in _FINDERS:
        for finding in finder(looked_at):
            if not any(finding.start < other.end and other.start < finding.end for other in found):
                found.append(finding)
    return sorted(found, key=lambda finding: finding.start)[:MAX_FINDINGS]


def redact(text: str, findings: Iterable[Finding]) -> str:
    """The text with each finding replaced by its kind in brackets."""
    for finding in sorted(findings, key=lambda finding: -finding.start):
        text = text[: finding.start] + finding.replacement + text[finding.end :]
    return text


# --- One kind each; the more certain come first


def _matches(pattern: re.Pattern[str], kind: str, text: str) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        group = "found" if "found" in pattern.groupindex else 0
        yield Finding(match.start(group), match.end(group), kind, match[group])


_KNOWN_KEYS: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[\s\S]{0,8000}?-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
    r"|\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{0,2000}"  # JSON Web Token
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{30,255}\b|\bgithub_pat_[A-Za-z0-9_]{20,255}\b|\bglpat-[A-Za-z0-9_-]{20,255}"
    r"|\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]{1,20}[-_]){0,3}[A-Za-z0-9_-]{16,255}"
    r"|\bhf_[A-Za-z0-9]{20,255}\b|\bsy_[A-Za-z0-9]{20,255}\b|\bxox[abprs]-[A-Za-z0-9-]{10,255}"
)
_NAMED_SECRETS: Final = re.compile(
    r"(?i)\b(?:password|passwort|passwd|secret|api[_-]?key|access[_-]?token|bearer)\b[\"']?\s{0,3}[:=]?\s{0,3}"
    r"[\"']?(?P<found>(?=[^\s\"']{0,255}[0-9])[^\s\"'<>]{8,255})"
)
_LONG_WORD: Final = re.compile(rf"(?<![\w/+=-])[A-Za-z0-9+/_=-]{{{LEAST_KEY_CHARACTERS},512}}(?![\w/+=-])")


def _known_keys(text: str) -> Iterator[Finding]:
    return _matches(_KNOWN_KEYS, "key", text)


def _named_secrets(text: str) -> Iterator[Finding]:
    return _matches(_NAMED_SECRETS, "key", text)


def _random_words(text: str) -> Iterator[Finding]:
    for finding in _matches(_LONG_WORD, "key", text):
        word = finding.text
        is_mixed = any(map(str.isdigit, word)) and any(map(str.islower, word)) and any(map(str.isupper, word))
        is_hexadecimal = len(word) >= 32 and not word.strip("0123456789abcdef") and not word.isdigit()
        if is_hexadecimal or (is_mixed and _entropy(word) >= LEAST_KEY_ENTROPY):
            yield finding


def _entropy(word: str) -> float:
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts)


_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.%+-]{1,64}(?:@|\s?\(at\)\s?|\s?\[at\]\s?)(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)


def _emails(text: str) -> Iterator[Finding]:
    return _matches(_EMAIL, "email", text)


_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}\b", re.IGNORECASE)


def _ibans(text: str) -> Iterator[Finding]:
    for match in _IBAN.finditer(text):
        # A word that follows may have been taken for a part: the longest valid beginning counts.
        candidate = match[0]
        for end in range(len(candidate), 14, -1):
            if candidate[end - 1].isalnum() and iban.is_valid(candidate[:end]):
                yield Finding(match.start(), match.start() + end, "iban", candidate[:end])
                break


_DIGITS: Final = re.compile(r"(?<![\w.,])\d(?:[ -]?\d){12,18}(?![\w]|[.,]\d)", re.ASCII)
# Beginnings and lengths of issuers: American Express, Diners, Visa, Mastercard, and those that share 5 and 6 with JCB.
_CARD: Final = re.compile(r"3[47]\d{13}|3[068]\d{12}|4\d{12}(?:\d{3}){0,2}|(?:5|2[2-7]|35|6)\d+", re.ASCII)


def _cards(text: str) -> Iterator[Finding]:
    for match in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _CARD.fullmatch(digits) and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield Finding(match.start(), match.end(), "card", match[0])


# With the form in which each is written: without one, any eleven digits would be somebody's number one time in ten.
_IDENTITY_FORMS: Final[tuple[tuple[re.Pattern[str], Any], ...]] = (
    (re.compile(r"\b\d{3}-\d{2}-\d{4}\b", re.ASCII), american_social),
    (re.compile(r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", re.IGNORECASE | re.ASCII), italian_fiscal),
    (re.compile(r"\b\d{8}-?[A-Z]\b", re.ASCII), spanish_id),
    (re.compile(r"\b[XYZ]-?\d{7}-?[A-Z]\b", re.ASCII), spanish_foreigner),
    (re.compile(r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]\b", re.ASCII), finnish_personal),
    (re.compile(r"\b(?:\d{2})?\d{6}[-+]\d{4}\b", re.ASCII), swedish_personal),
    (re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", re.ASCII), cpf),
    (re.compile(r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b", re.ASCII), belgian_national),
    (re.compile(r"\b[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b", re.ASCII), french_social),
)
# Bare digits are somebody's number only when the text says so just before.
_NAMED_DIGITS: Final = re.compile(
    r"(?i)\b(?:steuer-?id|steuer-?identifikationsnummer|idnr|tax id|bsn|burgerservicenummer|pesel|cpf|national number|"
    r"ssn|social security(?: number)?)\W{0,12}(?P<found>\d(?:[ .-]?\d){7,10})(?!\d)"
)
_NAMED_FORMS: Final = (german_tax, dutch_citizen, polish_national, cpf, american_social, belgian_national)


def _identities(text: str) -> Iterator[Finding]:
    for pattern, number in _IDENTITY_FORMS:
        for finding in _matches(pattern, "identity", text):
            if number.is_valid(finding.text):
                yield finding
    for finding in _matches(_NAMED_DIGITS, "identity", text):
        if any(number.is_valid(finding.text) for number in _NAMED_FORMS):
            yield finding


def _phones(text: str) -> Iterator[Finding]:
    for region in _REGIONS:
        matcher = phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID, max_tries=200)
        for match in matcher:
            is_international = match.raw_string.startswith(("+", "00"))
            # Without a country, only what is grouped as one writes a phone number and not an amount.
            if is_international or (region is not None and re.search(r"[()/ -]", match.raw_string)):
                yield Finding(match.start, match.end, "phone", match.raw_string)


_PATH: Final = re.compile(
    r"(?<![\w:/])(?:[A-Za-z]:\\(?:[^\s\\/:*?\"<>|]{1,100}\\){0,20}[^\s\\/:*?\"<>|]{1,100}"
    r"|\\\\[\w.-]{1,60}(?:\\[^\s\\/:*?\"<>|]{1,100}){1,20}"
    r"|(?:~|/(?:home|Users|root|mnt|media|var|opt|srv|tmp|etc|data))(?:/[\w.@+-]{1,100}){1,20}"
    r"|\b[\w-]{1,80}\.(?:docx?|xlsx?|pptx?|odt|ods|pdf|csv|pst|kdbx|pem|ppk|p12|pfx|sqlite3?|env)\b)"
)
_NETWORK: Final = re.compile(
    r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])", re.ASCII
)


def _paths(text: str) -> Iterator[Finding]:
    return _matches(_PATH, "path", text)


def _addresses(text: str) -> Iterator[Finding]:
    for finding in _matches(_NETWORK, "address", text):
        if not finding.text.startswith(("127.", "0.", "255.")):
            yield finding


_FINDERS: Final[tuple[Callable[[str], Iterator[Finding]], ...]] = (
    _known_keys, _emails, _ibans, _cards, _identities, _phones, _named_secrets, _paths, _addresses, _random_words,
)  # fmt: skip
