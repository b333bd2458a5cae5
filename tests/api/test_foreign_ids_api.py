"""What is not there, or not theirs, is a 404 whatever the body says: nobody corrects a body for it first."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.test import Client
from django.utils import timezone

from portal.accounts.models import Scope, User
from portal.api.models import IdempotencyKey
from portal.arena.models import Kind
from tests.api.test_judgements_schemathesis import JUDGEMENTS
from tests.api.test_schemathesis import ATTACKED
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.playground.turns import make_conversation

pytestmark = pytest.mark.django_db

CHANGING: Final = [(path, method) for path, method in [*ATTACKED, *JUDGEMENTS] if "{" in path and method != "GET"]
ABSENT: Final[dict[str, object]] = {
    **dict.fromkeys(
        ("submission_id", "generation_id", "conversation_id", "contest_id", "limitation_id", "replay_id"), uuid.uuid4()
    ),
    **dict.fromkeys(("endpoint_id", "message_id"), uuid.uuid4()),
    **dict.fromkeys(("answer", "inquiry_id", "item_id", "verdict_id", "run_id", "version", "build_id"), 999_999),
    **dict.fromkeys(("slug", "key"), "not-there"),
    "language": "de",
}
BAD_BODIES: Final = ('{"nonsense": 1}', "[]", "{broken")


USED: Final = "used-for-another-request"


def answers(client: Client, method: str, address: str) -> set[int]:
    """How each of the bad bodies is answered, and those under a key that would be carried out once."""
    send: Any = getattr(client, method.lower())
    keyed = {"Idempotency-Key": uuid.uuid4().hex}
    return {
        send(address, body, content_type="application/json", headers=headers).status_code
        for body in BAD_BODIES
        for headers in ({}, keyed)
    }


def answers_under_used_key(client: Client, person: User, address: str) -> int:
    """How a POST is answered under a key that this person used for something else."""
    IdempotencyKey.objects.get_or_create(
        owner=person,
        key=USED,
        defaults={"address": "/api/v1/feedback/", "digest": "0" * 64, "status": 201, "made": "1"},
    )
    sent = client.post(address, "{}", content_type="application/json", headers={"Idempotency-Key": USED})
    return int(sent.status_code)


@pytest.mark.parametrize(("path", "method"), CHANGING)
def test_what_is_not_there_is_missing_before_its_body_is_wrong(
    token_client: Callable[..., Client], superuser: User, path: str, method: str
) -> None:
    address = re.sub(r"{(\w+)}", lambda name: str(ABSENT[name[1]]), path)
    client = token_client(superuser, *Scope)
    assert answers(client, method, address) == {404}
    assert answers(Client(), method, address) == {401}
    if method == "POST":
        assert answers_under_used_key(client, superuser, address) == 404


def test_what_is_somebody_elses_is_missing_too(
    token_client: Callable[..., Client], alice: User, charlie: User, settings: Any
) -> None:
    settings.API_RATE = "1000/minute"
    run = make_generation(alice)
    variants = [run.variant, make_variant("other/tiny")]
    there: dict[str, object] = {
        "generations/{}": run.pk,
        "conversations/{}": run.conversation_id,
        "comparisons/{}": make_contest(alice, variants, Kind.SIDE_BY_SIDE).pk,
        "battles/{}": make_contest(alice, variants).pk,
        "feedback/{}": judge(alice).pk,
    }
    # Deleted and hers: only its restoration finds it.
    deleted = make_conversation(alice, deleted_at=timezone.now()).pk
    outsider, own = (token_client(person, Scope.READ, Scope.SUBMIT) for person in (charlie, alice))
    tried = 0
    for path, method in CHANGING:
        for start, each in there.items():
            begin, _, rest = path.removeprefix("/api/v1/").partition("}")
            if method == "DELETE" or begin.partition("{")[0] != start.partition("{")[0]:
                continue
            address = f"/api/v1/{start.format(deleted if rest == '/restore/' else each)}{rest}"
            assert answers(outsider, method, address) == {404}, address
            assert answers(Client(), method, address) == {401}, address
            assert answers(own, method, address) == {400}, address
            if method == "POST":
                assert answers_under_used_key(outsider, charlie, address) == 404, address
                assert answers_under_used_key(own, alice, address) == 422, address
            tried += 1
    assert tried == 13
