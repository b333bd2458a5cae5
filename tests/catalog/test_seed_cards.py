"""The cards that come along: there after the first start, left alone where people changed them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from safetensors.numpy import save_file

from portal.accounts.models import User
from portal.catalog import seed
from portal.catalog.models import ModelCard, Relation, Variant
from portal.catalog.seed import SEED_NOTE, seed_cards
from portal.catalog.services import publish_revision
from tests.catalog.shelf import write_adapter, write_weights

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.STEELYARD_HOME = tmp_path
    return tmp_path


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of shipped texts, to be changed by a test."""
    folder = tmp_path / "texts"
    folder.mkdir()
    shipped = Path(seed.__file__).parent / "seed_cards"
    for path in shipped.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(seed, "_TEXTS", folder)
    return folder


def test_the_first_seed_brings_smollm2_which_does_not_run_before_its_weights_are_prepared() -> None:
    (card,) = seed_cards()
    assert card.name == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.current_revision is not None
    assert (card.current_revision.number, card.current_revision.note) == (1, SEED_NOTE)
    assert card.current_revision.metadata["license"] == "apache-2.0"
    variant, *rounded = card.variants.all()
    assert (variant.slug, variant.source) == ("q4_1-bf16", "weights/smollm2-135m-instruct")
    assert variant.defaults == {"temperature": 0.2, "top_p": 0.9}
    assert not variant.is_runnable
    assert [(each.slug, each.dtype, each.base, each.source) for each in rounded] == [
        ("q4_1-int8", "int8", variant, variant.source),
        ("q4_1-int4", "int4", variant, variant.source),
    ]


def test_it_runs_once_its_weights_are_prepared(home: Path) -> None:
    seed_cards()
    write_weights(home / "weights" / "smollm2-135m-instruct")
    seed_cards()
    for variant in Variant.objects.all():
        assert variant.is_runnable
        assert variant.facts["parameters"] == 88
        assert variant.tensor_lists.count() == 1


def test_an_adapter_comes_along_once_it_fits_its_base(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_weights(home / "weights" / "smollm2-135m-instruct")
    (card,) = seed_cards()
    assert "The adapter brief is left out: brief does not fit" in caplog.text
    assert list((home / "weights").iterdir()) == [folder]

    write_adapter(tmp_path / "adapters" / "brief", module="model.layers.0.self_attn.q_proj")
    monkeypatch.setattr(seed, "_ADAPTERS", tmp_path / "adapters")
    tensors = {"model.norm.weight": np.ones(8), "model.layers.0.self_attn.q_proj.weight": np.ones((8, 8))}
    save_file({name: value.astype(np.float32) for name, value in tensors.items()}, folder / "model.safetensors")
    seed_cards()
    brief = card.variants.get(relation=Relation.ADAPTER)
    assert (brief.slug, brief.base, brief.is_runnable, brief.position) == ("brief", card.variants.first(), True, 3)
    before = list(Variant.objects.values())
    seed_cards()
    assert list(Variant.objects.values()) == before
    assert card.current_revision is not None
    assert card.current_revision.number == 1


def test_seeding_again_changes_nothing_and_is_cheap(home: Path) -> None:
    write_weights(home / "weights" / "smollm2-135m-instruct")
    (card,) = seed_cards()
    before = (card.updated_at, list(Variant.objects.values()))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        (card,) = seed_cards()
    assert (card.updated_at, list(Variant.objects.values())) == before
    assert not [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert (ModelCard.objects.count(), card.revisions.count(), card.variants.count()) == (1, 1, 3)


def test_a_changed_shipped_text_becomes_a_revision(texts: Path) -> None:
    seed_cards()
    path = texts / "smollm2-135m-instruct.md"
    path.write_text(path.read_text() + "\nOne sentence more.\n")
    (card,) = seed_cards()
    assert card.current_revision is not None
    assert card.current_revision.number == 2
    assert card.current_revision.text.endswith("One sentence more.\n")


def test_a_card_that_somebody_edited_keeps_their_text(texts: Path, maintainer: User) -> None:
    (card,) = seed_cards()
    publish_revision(card, "# Ours now\n", maintainer)
    maintainer.delete()
    path = texts / "smollm2-135m-instruct.md"
    path.write_text(path.read_text() + "\nOne sentence more.\n")
    (card,) = seed_cards()
    assert card.current_revision is not None
    assert card.current_revision.text == "# Ours now\n"


def test_what_people_changed_on_card_and_variant_stays() -> None:
    (card,) = seed_cards()
    ModelCard.objects.update(title="Our title", is_published=False)
    Variant.objects.update(defaults={"temperature": 1.0}, queue="ours")
    (card,) = seed_cards()
    variant = card.variants.all()[0]
    assert (card.title, card.is_published) == ("Our title", False)
    assert (variant.defaults, variant.queue) == ({"temperature": 1.0}, "ours")


@pytest.mark.weights
def test_the_prepared_weights_say_what_the_card_says(prepared_weights: Path, settings: Any) -> None:
    settings.STEELYARD_HOME = prepared_weights.parent.parent
    (card,) = seed_cards()
    variant = card.variants.all()[0]
    assert variant.is_runnable
    assert variant.quantisation == "Q4_1"
    assert variant.facts["parameters"] == 134_515_008
    assert variant.facts["dtypes"] == {"BF16": 134_515_008}
    assert variant.facts["origin_types"] == {"Q4_1": 106_168_320, "Q8_0": 28_311_552, "F32": 35_136}
    assert (variant.context_length, variant.facts["attention"]) == (8192, "grouped-query")
    brief = card.variants.get(slug="brief")
    assert (brief.relation, brief.base, brief.is_runnable) == (Relation.ADAPTER, variant, True)
    assert (brief.facts["added_parameters"], brief.facts["ranks"]) == (230_400, {"4": 60})
    assert brief.facts["targets"] == {"q_proj": 30, "v_proj": 30}
