"""Speed and quality become a variant's facts, once per weights, by command or by a maintainer's button."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from portal.catalog import job_dispatch
from portal.catalog.job_models import JobState, Reading, WeightReading
from portal.catalog.job_tasks import read_weights
from portal.catalog.models import Backend, ModelCard, Relation, Variant
from portal.catalog.services import refresh_variant
from portal.catalog.variant_facts import all_facts
from tests.catalog.shelf import write_adapter

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.inference.tiny_models import save_tiny_model

    home = tmp_path_factory.mktemp("home")
    save_tiny_model("llama", home / "weights" / "tiny")
    return home


@pytest.fixture
def variants(home: Path, settings: Any) -> list[Variant]:
    settings.STEELYARD_HOME = home
    settings.WORKER_THREADS = 1
    card = ModelCard.objects.create(owner_name="acme", slug="tiny", title="Tiny")
    made = []
    for slug, relation in (("bfloat16", ""), ("int8", Relation.QUANTIZED)):
        fields = {"backend": Backend.TRANSFORMERS, "source": "weights/tiny", "dtype": slug, "relation": relation}
        variant = Variant.objects.create(card=card, slug=slug, **fields)
        refresh_variant(variant)
        made.append(variant)
    return made


def _measure(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("measure_variant", *arguments, "--json", stdout=out)
    reports: list[dict[str, Any]] = json.loads(out.getvalue())
    return reports


def test_quality_and_speed_become_facts_and_are_not_measured_twice(variants: list[Variant], client: Client) -> None:
    assert client.get("/models/acme/tiny/").text.count("not measured here yet") == 2
    names = [variant.model_id for variant in variants]
    plain, rounded = _measure(*names)
    assert plain["measured_now"]
    assert rounded["measured_now"]
    for report in (plain, rounded):
        speed, quality = report["speed"], report["quality"]
        assert set(speed["tokens_per_s"]) == {"1", "8"}
        assert min(speed["tokens_per_s"].values()) > 0
        assert speed["prefill_tokens_per_s"] > 0
        assert speed["prompt_tokens"] > 100
        assert quality["reference"] == "float32"
        for name in ("perplexity", "mean_kl", "same_best"):
            assert quality[name]["low"] <= quality[name]["value"] <= quality[name]["high"]
        assert report["machine"]["cores"] >= 1
        assert report["engine"]["dtype"] == report["model_id"].rpartition(":")[2]
    # Rounding to eight bits takes these weights further from float32 than rounding to bfloat16 does.
    assert rounded["quality"]["mean_kl"]["value"] > plain["quality"]["mean_kl"]["value"] > 0
    assert plain["quality"]["reference_perplexity"] == rounded["quality"]["reference_perplexity"]
    again = _measure(*names)
    assert [report["measured_now"] for report in again] == [False, False]
    assert [report["measured_at"] for report in again] == [plain["measured_at"], rounded["measured_at"]]
    card = client.get("/models/acme/tiny/").text
    assert card.count("not measured here yet") == 0
    assert f'data-label="Tokens/s, one answer">{rounded["speed"]["tokens_per_s"]["1"]:,.0f}</td>' in card
    machine = plain["machine"]
    assert f"{machine['processor']}, {machine['cores']} cores, load " in card
    assert f"n = {plain['quality']['tokens']} tokens" in card
    shown = {fact.label: fact.value for fact in all_facts(Variant.objects.get(slug="int8"))}
    assert "tokens/s" in shown["Speed measured here"]
    assert "float32" in shown["Perplexity"]
    assert shown["Measured on"].startswith(plain["machine"]["processor"])


def test_an_adapters_quality_is_its_distance_from_its_base(variants: list[Variant], home: Path) -> None:
    base = variants[0]
    write_adapter(home / "weights" / "lora", module="model.layers.0.self_attn.o_proj", width=64, height=64)
    Variant.objects.filter(pk=base.pk).update(slug="base")
    adapter = base.card.variants.create(
        slug="lora",
        backend=Backend.TRANSFORMERS,
        source="weights/lora",
        dtype="bfloat16",
        relation=Relation.ADAPTER,
        base=base,
    )
    refresh_variant(adapter)
    (report,) = _measure(adapter.model_id)
    quality = report["quality"]
    assert quality["reference"] == "base in float32"
    assert quality["mean_kl"]["low"] > 0.001
    assert quality["reference_perplexity"] != pytest.approx(quality["perplexity"]["value"], rel=1e-3)
    shown = {fact.label: fact.value for fact in all_facts(Variant.objects.get(pk=adapter.pk))}
    assert "the base in float32 has" in shown["Perplexity"]
    assert "nats per token" in shown["Divergence from the base"]


FACTS = "/models/acme/tiny/bfloat16/facts/"


@pytest.mark.django_db(transaction=True)  # the lease is renewed over a connection of its own
def test_a_maintainer_has_a_variant_measured_from_its_page(
    variants: list[Variant],
    visitor_client: Client,
    alice_client: Client,
    maintainer_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    for client in (visitor_client, alice_client):
        assert "have not been measured on this installation yet" in client.get(FACTS).text
        assert "Measure speed and quality" not in client.get(FACTS).text
        assert client.post(FACTS).status_code == 404
    assert "Measure speed and quality" in maintainer_client.get(FACTS).text
    assert maintainer_client.post(FACTS)["Location"] == f"{FACTS}#measured"
    maintainer_client.post(FACTS)
    job = WeightReading.objects.get()
    assert 'hx-trigger="every 1s"' in maintainer_client.get(FACTS).text

    monkeypatch.setattr("portal.catalog.measuring.available_memory", lambda: 1_000)
    read_weights(job.pk)
    assert "acme/tiny:bfloat16 cannot be measured: Comparing" in maintainer_client.get(FACTS).text
    monkeypatch.undo()
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    maintainer_client.post(FACTS)
    read_weights(job.pk)
    part = visitor_client.get(FACTS, headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<section id="measured"')
    assert "tokens/s for one answer" in part
    assert "Measure again" in maintainer_client.get(FACTS).text
    maintainer_client.post(FACTS)
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


def test_a_maintainer_has_all_variants_of_a_card_measured_one_after_the_other(
    variants: list[Variant],
    visitor_client: Client,
    alice_client: Client,
    maintainer_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    card, measure = "/models/acme/tiny/", "/models/acme/tiny/measure/"
    for client in (visitor_client, alice_client):
        assert client.post(measure).status_code == 404
        assert measure not in client.get(card).text
    assert maintainer_client.get(measure).status_code == 405
    Variant.objects.filter(slug="int8").update(facts={"measured": {"speed": {"tokens_per_s": {"1": 9.0}}}})
    assert measure in maintainer_client.get(card).text
    answer = maintainer_client.post(measure, follow=True)
    assert "1 variant is measured now" in answer.text
    job = WeightReading.objects.get()
    assert job.variant.slug == "bfloat16"
    assert "being measured" in answer.text
    assert measure not in answer.text
    assert "being measured" not in alice_client.get(card).text

    # While another is measured, wherever that is, no thread waits; its end wakes the next, a lost worker's ends too.
    woken: list[int] = []
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: woken.append(pk) is None)
    other = WeightReading.objects.create(key="other", kind=Reading.MEASURING, variant=variants[1])
    assert other.claim("elsewhere", timedelta(seconds=30))
    read_weights(job.pk)
    job.refresh_from_db()
    assert (job.state, woken) == (JobState.QUEUED, [])
    other.fail("It broke.")
    other.ask_again()
    monkeypatch.setattr("portal.catalog.measuring.available_memory", lambda: 1_000)
    read_weights(other.pk)
    assert woken == [job.pk]
    assert other.ask_again()
    other.refresh_from_db()
    assert other.claim("lost", timedelta(seconds=-1))
    read_weights(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED


def test_a_variant_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="acme/none:int8"):
        _measure("acme/none:int8")


def test_too_little_memory_is_said_and_changes_nothing(
    variants: list[Variant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.catalog.measuring.available_memory", lambda: 1_000)
    with pytest.raises(CommandError, match=r"cannot be measured: .*GiB"):
        _measure(variants[0].model_id)
    assert "measured" not in Variant.objects.get(pk=variants[0].pk).facts
