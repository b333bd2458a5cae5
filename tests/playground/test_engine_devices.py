"""Which engine a variant of local weights gets: the accelerator's where there is one, ours on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference.weight_folder import WeightsRefused
from portal.catalog.models import ModelCard, Variant
from portal.playground.engines import transformers_engine


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was loaded, by which loader, onto which device."""
    made: list[tuple[str, Any]] = []
    ours, theirs = "inference.transformers_engine.load_engine", "inference.continuous_batching_engine"
    monkeypatch.setattr(ours, lambda folder, **options: made.append(("ours", options.get("device"))))
    loader = f"{theirs}.load_continuous_batching_engine"
    monkeypatch.setattr(loader, lambda folder, **options: made.append(("theirs", options["device"])))
    return made


def make(dtype: str = "bfloat16") -> Variant:
    card = ModelCard(owner_name="acme", slug="tiny")
    return Variant(card=card, slug=dtype, dtype=dtype, backend="transformers", source="weights/tiny")


@pytest.mark.parametrize(
    ("wanted", "has_cuda", "dtype", "expected"),
    [
        ("auto", False, "bfloat16", ("ours", None)),
        ("auto", True, "bfloat16", ("theirs", "cuda")),
        ("cuda", True, "float16", ("theirs", "cuda")),
        ("cpu", True, "bfloat16", ("ours", None)),
        ("cuda", True, "int8", ("ours", None)),
    ],
)
def test_the_device_decides(
    wanted: str,
    has_cuda: bool,
    dtype: str,
    expected: tuple[str, Any],
    loaded: list[tuple[str, Any]],
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.STEELYARD_HOME, settings.WORKER_DEVICE = tmp_path, wanted
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_cuda)
    transformers_engine(make(dtype), lambda _emissions: None)
    assert loaded == [expected]


@pytest.mark.parametrize(("wanted", "reason"), [("cuda", "torch sees none"), ("tpu", "no device tpu")])
def test_a_device_that_is_not_there_is_refused(
    wanted: str, reason: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WORKER_DEVICE = wanted
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(WeightsRefused, match=reason):
        transformers_engine(make(), lambda _emissions: None)
