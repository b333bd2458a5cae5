"""What looks like personal data in a text, with valid and invalid check digits, and what replacing it leaves."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.feedback.personal_data import find_personal_data, redact

FOUND = {
    "jane.doe+news@mail.example.org": "email",
    "+49 30 901820": "phone",
    "(212) 555-0123": "phone",
    "DE89 3704 0044 0532 0130 00": "iban",
    "GB82WEST12345698765432": "iban",
    "4111 1111 1111 1111": "card",
    "3782 822463 10005": "card",
    "536-90-4399": "identity",
    "RSSMRA85T10A562S": "identity",
    "12345678Z": "identity",
    "131052-308T": "identity",
    "390.533.447-05": "identity",
    "Steuer-ID: 36 574 261 809": "identity",
    "/home/jane/letters/plan.txt": "path",
    r"C:\Users\Jane\diary.docx": "path",
    "tax-return.xlsx": "path",
    "81.2.69.142": "address",
    "sk-proj-abc123DEF456ghi789JKL012": "key",
    "AKIAIOSFODNN7EXAMPLE": "key",
    "ghp_0123456789abcdefghijABCDEFGHIJ0123": "key",
    "password: hunter2hunter2": "key",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----": "key",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N": "key",
}
NOT_FOUND = [
    "DE89 3704 0044 0532 0130 01",
    "4111 1111 1111 1112",
    "12345678A",
    "390.533.447-06",
    "In 2024 there were 1234567890123 of them.",
    "3.14159265358979",
    "See version 2.10.3, section 4.2.",
    "The password is a word.",
    "and/or",
    "Donaudampfschifffahrtsgesellschaftskapitaen",
    "127.0.0.1",
]
PLAIN = st.text("abcdefgh \n.,", max_size=30)


@pytest.mark.parametrize(("text", "kind"), FOUND.items())
def test_it_is_found_and_named(text: str, kind: str) -> None:
    (finding,) = find_personal_data(f"He said: {text} and went.")
    assert finding.kind == kind
    assert finding.text in text


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_fails_its_check_digits_or_is_no_name_of_anything_is_left_alone(text: str) -> None:
    assert find_personal_data(f"He said: {text} and went.") == []


@settings(max_examples=60)
@given(parts=st.lists(st.tuples(PLAIN, st.sampled_from(list(FOUND))), max_size=4), end=PLAIN)
def test_findings_do_not_overlap_and_replacing_them_leaves_the_rest(parts: list[tuple[str, str]], end: str) -> None:
    text = "".join(f"{before} · {found} · " for before, found in parts) + end
    findings = find_personal_data(text)
    assert [text[finding.start : finding.end] for finding in findings] == [finding.text for finding in findings]
    assert all(one.end <= other.start for one, other in pairwise(findings))
    without = redact(text, findings)
    assert find_personal_data(without) == []
    rest = text
    for finding in reversed(findings):
        rest = rest[: finding.start] + rest[finding.end :]
        without = without.replace(finding.replacement, "")
    assert without == rest


@settings(max_examples=100)
@given(text=st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    for finding in find_personal_data(text):
        assert text[finding.start : finding.end] == finding.text


@pytest.mark.parametrize("piece", ["1 ", "a@", "/home", "A1", "eyJ", "sk-", "a.b@a.", "DE89 ", "password ", "12-"])
def test_hostile_text_takes_no_time_to_speak_of(piece: str) -> None:
    text = (piece * 40_000)[:40_000]
    began = time.thread_time()
    find_personal_data(text)
    assert time.thread_time() - began < 5
