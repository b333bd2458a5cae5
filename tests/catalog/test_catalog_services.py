"""New revisions keep the old ones, bad texts change nothing, and facts follow the files."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from portal.accounts.models import User
from portal.catalog.models import CardRevision
from portal.catalog.services import publish_revision, refresh_variant
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant, write_weights

pytestmark = pytest.mark.django_db


def test_a_changed_text_becomes_the_next_revision_and_the_old_one_stays(maintainer: User) -> None:
    card = make_card()
    first = card.current_revision
    second = publish_revision(card, CARD_TEXT + "More.\n", maintainer, "More on more")
    assert (second.number, second.author, second.note) == (2, maintainer, "More on more")
    assert card.current_revision == second
    card.refresh_from_db()
    assert card.current_revision == second
    assert list(card.revisions.all()) == [second, first]
    assert first is not None
    assert CardRevision.objects.get(pk=first.pk).text == CARD_TEXT


def test_the_same_text_makes_no_revision(maintainer: User) -> None:
    card = make_card()
    assert publish_revision(card, CARD_TEXT, maintainer).number == 1
    assert card.revisions.count() == 1


def test_the_text_is_kept_byte_for_byte(maintainer: User) -> None:
    raw = "---\r\nlicense: mit\r\n---\r\n  Trailing \t\r\nümlaut 🎈 \u200b\n\n\n".encode()
    revision = publish_revision(make_card(), raw, maintainer)
    revision.refresh_from_db()
    assert revision.text.encode() == raw
    assert revision.metadata == {"license": "mit"}


@pytest.mark.parametrize(
    ("text", "note", "field"),
    [("---\na: &x 1\n---\n", "", "text"), (b"\xff", "", "text"), ("# fine", "n" * 301, "note")],
)
def test_bad_input_names_its_field_and_changes_nothing(maintainer: User, text: str, note: str, field: str) -> None:
    card = make_card()
    with pytest.raises(ValidationError) as caught:
        publish_revision(card, text, maintainer, note)
    assert list(caught.value.message_dict) == [field]
    card.refresh_from_db()
    assert card.revisions.count() == 1
    assert card.current_revision is not None
    assert card.current_revision.number == 1


def test_a_text_that_is_based_on_an_older_revision_is_not_written_over_a_newer(alice: User, bob: User) -> None:
    card = make_card()
    publish_revision(card, CARD_TEXT + "Alice.\n", alice, based_on=1)
    with pytest.raises(ValidationError) as caught:
        publish_revision(card, CARD_TEXT + "Bob.\n", bob, based_on=1)
    assert "revision 2 by alice" in caught.value.message_dict["text"][0]
    assert card.revisions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_authors_at_the_same_moment_get_numbers_of_their_own() -> None:
    card = make_card()

    def publish(number: int) -> None:
        try:
            publish_revision(card, f"# Text {number}\n", None)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(publish, range(6)))
    assert sorted(card.revisions.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6, 7]
    card.refresh_from_db()
    assert card.current_revision is not None
    assert card.current_revision.number == 7


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.STEELYARD_HOME = tmp_path
    return tmp_path


def test_weights_that_are_prepared_bring_facts_and_digests_and_run(home: Path) -> None:
    variant = make_variant(make_card(), is_runnable=False, facts={})
    assert not refresh_variant(variant)
    write_weights(home / "weights" / "tiny")
    assert refresh_variant(variant)
    variant.refresh_from_db()
    assert variant.is_runnable
    assert variant.facts["parameters"] == 88
    assert variant.context_length == 128
    assert variant.digests["model.safetensors"] == next(
        file["sha256"] for file in variant.facts["files"] if file["name"] == "model.safetensors"
    )


def test_unchanged_files_are_not_read_again_and_an_operators_choice_holds(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(home / "weights" / "tiny")
    variant = make_variant(make_card(), facts={})
    refresh_variant(variant)
    variant.is_runnable = False
    variant.save()

    def read_again(*args: object, **options: object) -> None:
        pytest.fail("the weights were read again")

    monkeypatch.setattr("portal.catalog.services.read_weight_facts", read_again)
    assert not refresh_variant(variant)
    variant.refresh_from_db()
    assert not variant.is_runnable


def test_changed_files_are_read_again(home: Path) -> None:
    folder = write_weights(home / "weights" / "tiny")
    variant = make_variant(make_card(), facts={})
    refresh_variant(variant)
    write_weights(folder, max_position_embeddings=256)
    os.utime(folder / "config.json", ns=(1, 1))
    assert refresh_variant(variant)
    assert variant.context_length == 256


def test_weights_that_are_gone_do_not_run_and_keep_their_facts(home: Path) -> None:
    folder = write_weights(home / "weights" / "tiny")
    variant = make_variant(make_card(), facts={})
    refresh_variant(variant)
    for path in folder.iterdir():
        path.unlink()
    assert refresh_variant(variant)
    variant.refresh_from_db()
    assert not variant.is_runnable
    assert variant.facts["parameters"] == 88
    assert not refresh_variant(variant)


def test_weights_that_are_broken_do_not_run_and_the_log_says_why(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_weights(home / "weights" / "tiny")
    (folder / "model.safetensors").write_bytes(b"broken")
    variant = make_variant(make_card(), facts={})
    with caplog.at_level(logging.WARNING):
        assert refresh_variant(variant)
    variant.refresh_from_db()
    assert not variant.is_runnable
    assert "acme/tiny:bf16 cannot run: model.safetensors: 6 bytes are too few" in caplog.text


def test_an_upstream_has_no_files_to_read() -> None:
    assert not refresh_variant(make_variant(make_card(), backend="openai", source="http://upstream.example/v1"))
