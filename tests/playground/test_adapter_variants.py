"""Adapters and number formats as variants: adapters run in their base's engine, in the room that it keeps for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.engine import Engine, GenerationRequest, Message
from inference.events import Finished
from inference.sampling_params import SamplingParams
from portal.catalog.models import Backend, ModelCard, Relation, Variant
from portal.playground.adapter_shelf import AdapterShelf, NoRoom
from portal.playground.engine_pool import EnginePool
from portal.playground.engines import transformers_footprint
from tests.inference.recorder import Recorder
from tests.services.installation import eventually


class StandIn:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def close(self, grace_s: float) -> None:
        self._log.append(self.name)


class Shelf:
    """A shelf for 100 bytes, whose adapters are 40 each, and the names of those that were given up."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.loaded: list[str] = []
        self._shelf = AdapterShelf(100)

    def lend(self, name: str, size: int = 40, error: Exception | None = None) -> Any:
        card = ModelCard(owner_name="steelyard", slug="card")
        variant = Variant(pk=sum(name.encode()), card=card, slug=name)

        def load() -> Any:
            if error is not None:
                raise error
            self.loaded.append(name)
            return StandIn(name, self.closed)

        return self._shelf.lend(variant, size, load)

    def use(self, name: str) -> None:
        with self.lend(name) as engine:
            assert engine.name == name


def test_the_least_recently_used_adapter_makes_room() -> None:
    shelf = Shelf()
    for name in ("a", "b", "a", "c", "a"):
        shelf.use(name)
    assert shelf.loaded == ["a", "b", "c"]
    assert shelf.closed == ["b"]


def test_lent_adapters_stay_and_the_next_waits() -> None:
    shelf = Shelf()
    has_it = threading.Event()

    def visit() -> None:
        shelf.use("c")
        has_it.set()

    with shelf.lend("a"):
        with shelf.lend("b"):
            thread = threading.Thread(target=visit, daemon=True)
            thread.start()
            assert not has_it.wait(0.1)
        assert has_it.wait(60)
        assert shelf.closed == ["b"]
    thread.join(60)


def test_an_adapter_that_cannot_be_loaded_is_tried_again() -> None:
    shelf = Shelf()
    with pytest.raises(OSError, match="gone"), shelf.lend("a", error=OSError("gone")):
        pass
    shelf.use("a")


def test_an_adapter_beyond_the_room_is_refused_with_both_sizes() -> None:
    with pytest.raises(NoRoom, match=r"steelyard/card:a needs 200 MiB .* 0 MiB are kept"), Shelf().lend("a", 200 << 20):
        pass


# --- With real weights, as the portal's settings name the engines


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from safetensors.torch import save_file

    from tests.inference.tiny_models import save_tiny_model

    home = tmp_path_factory.mktemp("home")
    save_tiny_model("llama", home / "weights" / "tiny")
    adapter = home / "weights" / "tiny-lora"
    adapter.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": "somebody/Tiny", "r": 4, "lora_alpha": 64}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    torch.manual_seed(3)
    name = "base_model.model.model.layers.{}.self_attn.o_proj.lora_{}.weight"
    shapes = {"A": (4, 64), "B": (64, 4)}
    tensors = {name.format(layer, factor): torch.randn(shapes[factor]) for layer in (0, 1) for factor in "AB"}
    save_file(tensors, adapter / "adapter_model.safetensors")
    return home


@pytest.fixture
def variants(db: None, home: Path, settings: Any) -> dict[str, Variant]:
    settings.STEELYARD_HOME = home
    card = ModelCard.objects.create(owner_name="acme", slug="tiny", title="Tiny")

    def make(slug: str, **fields: Any) -> Variant:
        values = {"backend": Backend.TRANSFORMERS, "source": "weights/tiny", "dtype": "bfloat16"} | fields
        return Variant.objects.create(card=card, slug=slug, **values)

    weights = make("bf16")
    rounded = make("int8", dtype="int8", relation=Relation.QUANTIZED, base=weights)
    adapter = make("lora", source="weights/tiny-lora", relation=Relation.ADAPTER, base=weights)
    return {"bf16": weights, "int8": rounded, "lora": adapter}


@pytest.fixture
def pool(recorder: Recorder, settings: Any) -> Iterator[EnginePool]:
    settings.WORKER_MEMORY_BYTES = 8 << 30
    settings.WORKER_THREADS = 1
    pool = EnginePool(recorder)
    yield pool
    pool.close(0)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def _submit(engine: Engine, name: str) -> None:
    params = SamplingParams(temperature=0, max_tokens=12, min_tokens=12)
    messages = (Message("user", "tell me a story"),)
    engine.submit(GenerationRequest(request_id=name, messages=messages, params=params))


def test_a_base_its_rounded_form_and_its_adapter_answer_from_one_pool(
    variants: dict[str, Variant], pool: EnginePool, recorder: Recorder
) -> None:
    with (
        pool.lend(variants["bf16"]) as base,
        pool.lend(variants["lora"]) as adapted,
        pool.lend(variants["int8"]) as int8,
    ):
        with recorder.held():
            for name, engine in (("bf16", base), ("lora", adapted), ("int8", int8)):
                _submit(engine, name)
        assert isinstance(recorder.wait_for_end("bf16", "lora", "int8"), Finished)
        together = [step for step in recorder.steps if {"bf16", "lora"} <= {each.request_id for each in step}]
        assert together, "the adapter's answer is written in its base's batches"
        assert adapted.provenance()["adapter"]["name"] == "acme/tiny:lora"  # type: ignore[index]
        assert adapted.provenance()["weights_sha256"] == base.provenance()["weights_sha256"]
        assert int8.provenance()["dtype"] == "int8"
    answers = {name: [token.id for token in recorder.tokens(name)] for name in ("bf16", "lora")}
    assert answers["bf16"] != answers["lora"]


def test_a_lent_adapter_keeps_its_base_from_being_given_up(
    variants: dict[str, Variant], pool: EnginePool, recorder: Recorder, settings: Any
) -> None:
    pool._budget = max(transformers_footprint(variants[slug]).peak for slug in ("bf16", "int8")) + 1
    got_it = threading.Event()

    def visit() -> None:
        with pool.lend(variants["int8"]):
            got_it.set()

    with pool.lend(variants["lora"]) as adapted:
        visitor = threading.Thread(target=visit, daemon=True)
        visitor.start()
        eventually(lambda: len(pool._queue) == 1, 60, "somebody waits for room")
        _submit(adapted, "a")
        assert isinstance(recorder.wait_for_end("a"), Finished)
        assert not got_it.is_set()
    visitor.join(60)
    assert got_it.is_set()


def test_the_room_for_adapters_is_part_of_what_weights_take(variants: dict[str, Variant]) -> None:
    footprint = transformers_footprint(variants["bf16"])
    assert footprint.for_adapters == 64 << 20
    assert footprint.running > footprint.for_adapters
    adapter = transformers_footprint(variants["lora"])
    assert 0 < adapter.peak < 64 << 10
    assert adapter.for_adapters == 0
