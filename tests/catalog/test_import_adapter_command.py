"""`manage.py import_model FOLDER` of a LoRA adapter: a variant on its base, or one sentence that says why not."""

from __future__ import annotations

import base64
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from safetensors.numpy import save_file

from portal.catalog.models import ModelCard, Relation, TensorPart, Variant
from portal.catalog.queries import tensor_rows
from portal.catalog.services import refresh_variant
from portal.catalog.snippets import snippets
from tests.catalog.shelf import CARD_TEXT, write_adapter, write_weights
from tests.catalog.test_card_sections_view import PIXEL

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def base(tmp_path: Path, settings: Any) -> Variant:
    settings.STEELYARD_HOME = tmp_path / "home"
    (tmp_path / "home").mkdir()
    folder = write_weights(tmp_path / "tiny")
    (folder / "README.md").write_text(CARD_TEXT)
    tensors = {"model.norm.weight": np.ones(8), "model.layers.0.self_attn.q_proj.weight": np.ones((8, 8))}
    save_file({name: value.astype(np.float32) for name, value in tensors.items()}, folder / "model.safetensors")
    run(folder, "--name", "acme/tiny")
    return Variant.objects.get()


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "pirate")


def run(source: Path, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_model", str(source), "--json", *options, stdout=out, stderr=StringIO())
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def refused(source: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(source, *options)
    assert Variant.objects.count() == 1
    return str(caught.value)


def test_an_adapter_becomes_a_variant_of_its_bases_card(adapter: Path, base: Variant) -> None:
    (adapter / "README.md").write_text("# Another text\n")
    report = run(adapter)
    assert (report["model_id"], report["base"]) == ("acme/tiny:pirate", "acme/tiny:f32")
    assert report["left_out"] == ["README.md"]
    variant = Variant.objects.get(slug="pirate")
    assert variant.context_length == base.context_length == 128
    assert (variant.base, variant.relation, variant.dtype) == (base, Relation.ADAPTER, base.dtype)
    facts = variant.facts
    assert (facts["added_parameters"], facts["ranks"], facts["targets"]) == (64, {"4": 1}, {"q_proj": 1})
    assert facts["trained_on"] == "acme/tiny"
    assert len(tensor_rows(variant)[TensorPart.WEIGHTS]) == 2
    revision = ModelCard.objects.get().current_revision
    assert revision is not None
    assert revision.text == CARD_TEXT
    assert not refresh_variant(variant)
    assert not run(adapter)["created"]
    # It is on no hub under its base's name, so code to copy names its folder.
    code = {each.slug: each.code for each in snippets(variant, portal_url="https://steelyard.example.org")}
    digest = variant.digests["adapter_model.safetensors"]
    assert f"adapter_model.safetensors: SHA-256 {digest}" in code["transformers"]
    assert f'os.environ.get("ADAPTER", {variant.source!r})' in code["transformers"]
    assert f"--lora-modules pirate={variant.source}" in code["vllm"]


def test_an_adapter_may_have_a_card_of_its_own(adapter: Path, base: Variant, client: Client) -> None:
    (adapter / "README.md").write_text("---\nthumbnail: flag.png\n---\n# The pirate\n")
    (adapter / "flag.png").write_bytes(base64.b64decode(PIXEL))
    report = run(adapter, "--name", "acme/pirate")
    assert (report["model_id"], report["left_out"]) == ("acme/pirate:pirate", [])
    card = ModelCard.objects.get(slug="pirate")
    assert card.variants.get().base == base
    assert card.current_revision is not None
    assert client.get("/models/acme/pirate/thumbnail")["Content-Type"] == "image/png"


def test_a_base_that_is_not_here_must_be_named(adapter: Path, base: Variant) -> None:
    configure(adapter, base_model_name_or_path="/home/somebody/other")
    assert "was trained on /home/somebody/other, which is not here" in refused(adapter)
    assert "no local weights called acme/tiny:absent" in refused(adapter, "--base", "acme/tiny:absent")
    assert run(adapter, "--base", "acme/tiny:f32")["base"] == "acme/tiny:f32"


def test_a_base_for_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    assert "--base is for an adapter" in refused(write_weights(tmp_path / "other"), "--base", "acme/tiny:f32")


def test_an_adapter_that_does_not_fit_is_refused_by_its_module(tmp_path: Path) -> None:
    wide = write_adapter(tmp_path / "wide", width=16)
    assert "q_proj has the shape (8, 8) in the base, but (8, 16) in the adapter" in refused(wide)
    other = write_adapter(tmp_path / "other", module="model.layers.7.self_attn.q_proj")
    assert "it changes model.layers.7.self_attn.q_proj, which the base does not have" in refused(other)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"use_dora": True}, "pirate was trained with use_dora"),
        ({"peft_type": "IA3"}, "only LORA can be applied"),
        ({"base_model_name_or_path": None}, "does not name its base; name a variant with --base"),
        ({"lora_alpha": "much"}, "lora_alpha must be a number"),
    ],
)
def test_what_cannot_be_applied_is_refused(adapter: Path, change: dict[str, Any], sentence: str) -> None:
    configure(adapter, **change)
    assert sentence in refused(adapter)


def test_pickled_and_damaged_adapters_are_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"broken")
    assert "adapter_model.safetensors" in refused(adapter)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert "adapter_model.bin is not safetensors and could run code" in refused(adapter)


def configure(adapter: Path, **change: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_tensor_that_is_no_factor_is_refused(adapter: Path) -> None:
    save_file({"model.norm.weight": np.ones(8, np.float32)}, adapter / "adapter_model.safetensors")
    assert "which is not a factor of a linear layer" in refused(adapter)
