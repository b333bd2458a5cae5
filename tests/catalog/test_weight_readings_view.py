"""Pages about values inside weights: asked for, read once by a worker, shown with their table; and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.test import Client
from safetensors.numpy import save_file

from portal.catalog import job_dispatch
from portal.catalog.job_models import JobState, WeightReading
from portal.catalog.job_tasks import read_weights
from portal.catalog.models import ModelCard, Variant
from tests.catalog.shelf import write_adapter, write_gguf, write_weights

pytestmark = pytest.mark.django_db

NORM = "/models/acme/tiny/f32/tensor/?name=model.norm.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(autouse=True)
def base(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Variant:
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    folder = write_weights(tmp_path / "tiny")
    generator = np.random.default_rng(4)
    save_file(
        {
            QUERY: generator.normal(size=(8, 8)).astype(np.float32),
            "model.norm.weight": np.array([1, 2, 3, 4, 0, 0, 0, 6], np.float32),
        },
        folder / "model.safetensors",
    )
    call_command("import_model", str(folder), "--name", "acme/tiny", "--json")
    return Variant.objects.get()


def work() -> None:
    for job in WeightReading.objects.filter(state=JobState.QUEUED):
        read_weights(job.pk)


def test_values_are_read_when_somebody_asks_and_kept(visitor_client: Client, alice_client: Client) -> None:
    assert "Read the values" in visitor_client.get(NORM).text
    assert visitor_client.post(NORM)["Location"] == f"{NORM}&part=weights"
    assert 'hx-trigger="every 1s"' in visitor_client.get(NORM).text
    work()
    part = visitor_client.get(NORM, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "<dt>Mean</dt><dd>2</dd>" in part
    assert "3 of 8" in part
    assert part.count("<rect") == 60
    # Somebody else finds it, and asking again reads nothing again.
    assert "<dt>Largest</dt><dd>6</dd>" in alice_client.get(NORM).text
    alice_client.post(NORM)
    assert WeightReading.objects.get().attempt == 1


def test_the_same_bytes_under_another_name_are_not_read_again(
    alice_client: Client, maintainer: Any, tmp_path: Path
) -> None:
    alice_client.post(NORM)
    work()
    call_command("import_model", str(tmp_path / "tiny"), "--name", "acme/copy", "--json")
    assert "<dt>Mean</dt>" in alice_client.get(NORM.replace("acme/tiny", "acme/copy")).text


def test_weights_that_changed_are_not_shown_for_what_they_were(alice_client: Client, base: Variant) -> None:
    assert base.folder is not None
    (base.folder / "config.json").touch()
    alice_client.post(NORM)
    work()
    assert "are not those that its card describes" in alice_client.get(NORM).text
    Variant.objects.update(file_stamps={})
    alice_client.post(NORM)
    assert WeightReading.objects.get().state == JobState.QUEUED


def test_the_packed_file_behind_the_weights_is_read_too(alice_client: Client, tmp_path: Path) -> None:
    call_command("import_model", str(write_gguf(tmp_path / "packed.gguf")), "--name", "acme/packed", "--json")
    address = "/models/acme/packed/q4_1-bf16/tensor/?name=blk.0.attn_q.weight&part=origin"
    alice_client.post(address)
    work()
    assert "<dt>Mean</dt>" in alice_client.get(address).text


@pytest.mark.parametrize(
    "address",
    [
        "/models/acme/tiny/f32/tensor/",
        "/models/acme/tiny/f32/tensor/?name=absent",
        f"{NORM}&part=origin",
        f"{NORM}&part=x",
        "/models/acme/tiny/absent/tensor/?name=model.norm.weight",
        "/models/acme/tiny/f32/differences/?with=acme/tiny:absent",
    ],
)
def test_what_is_not_there_is_not_found(alice_client: Client, address: str) -> None:
    assert alice_client.get(address).status_code == 404
    assert alice_client.post(address).status_code == 404
    assert not WeightReading.objects.exists()


def test_an_unpublished_card_shows_nothing_of_its_weights(
    alice_client: Client, visitor_client: Client, maintainer_client: Client
) -> None:
    maintainer_client.post(NORM)
    work()
    ModelCard.objects.update(is_published=False)
    for client in (alice_client, visitor_client):
        assert client.get(NORM).status_code == 404
        assert client.get("/models/acme/tiny/f32/differences/").status_code == 404
    assert maintainer_client.get(NORM).status_code == 200


def test_reading_has_a_rate(alice_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.catalog.weight_readings.READING_RATE", "1/minute")
    assert alice_client.post(NORM).status_code == 302
    assert alice_client.post(NORM.replace("norm", "layers.0.self_attn.q_proj")).status_code == 429
    assert WeightReading.objects.count() == 1


# --- Two variants


def test_a_variant_alone_has_nothing_to_be_compared_with(alice_client: Client) -> None:
    assert "Nothing to compare with yet" in alice_client.get("/models/acme/tiny/f32/differences/").text


def test_what_an_adapter_and_rounding_change_is_shown_by_layer(
    alice_client: Client, base: Variant, tmp_path: Path
) -> None:
    call_command("import_model", str(write_adapter(tmp_path / "pirate")), "--json")
    Variant.objects.create(
        card=base.card,
        slug="int8",
        backend=base.backend,
        source=base.source,
        dtype="int8",
        digests=base.digests,
        file_stamps=base.file_stamps,
        relation="quantized",
        base=base,
    )
    for other in ("acme/tiny:pirate", "acme/tiny:int8"):
        address = f"/models/acme/tiny/f32/differences/?with={other}"
        assert "Compare the weights" in alice_client.get(address).text
        alice_client.post(address)
        work()
        page = alice_client.get(address).text
        assert page.count("<rect") == 1
        assert f"<code>{QUERY}</code>" in page
        assert "<code>model.norm.weight</code>" not in page
    comparisons = {job.other.slug: job.result for job in WeightReading.objects.select_related("other") if job.other}
    assert comparisons["pirate"]["overall"]["relative"] > 0.5
    assert comparisons["int8"]["overall"]["relative"] < 0.01


def test_tensors_that_only_one_has_are_listed(alice_client: Client, tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "tiny")
    save_file(
        {"model.norm.weight": np.ones(4, np.float32), "extra": np.ones(1, np.float32)}, folder / "model.safetensors"
    )
    call_command("import_model", str(folder), "--name", "acme/tiny", "--json")
    other = Variant.objects.latest("pk")
    address = f"/models/acme/tiny/f32/differences/?with={other.model_id}"
    alice_client.post(address)
    work()
    page = alice_client.get(address).text
    assert "1 tensor is only in f32" in page
    assert f"1 tensor is only in {other.slug}" in page
    assert "1 tensor has another shape and was not compared" in page
