"""Whatever an adapter's configuration says, it is an adapter that can be applied or one refusal."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from inference.adapter_facts import adapter_bytes, read_adapter_facts
from inference.adapter_folder import read_adapter_folder
from inference.weight_folder import WeightsRefused

GOOD: dict[str, Any] = {"peft_type": "LORA", "base_model_name_or_path": "acme/tiny", "r": 2, "lora_alpha": 4}
NAME = "base_model.model.layers.0.q_proj.lora_{}.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps(GOOD))
    tensors = {NAME.format("A"): np.zeros((2, 8), np.float32), NAME.format("B"): np.zeros((8, 2), np.float32)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    return tmp_path


values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["LORA", "acme/tiny", "none", ".*"]),
    lambda children: st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=6), children, max_size=2),
    max_leaves=4,
)
NAMES = [*GOOD, "auto_map", "bias", "alpha_pattern", "rank_pattern", "use_rslora", "use_dora", "init_lora_weights"]


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(changes=st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
def test_any_configuration_is_an_adapter_or_one_refusal(changes: dict[str, Any], folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps(GOOD | changes))
    with contextlib.suppress(WeightsRefused):
        read_adapter_facts(folder)
    with contextlib.suppress(WeightsRefused):
        assert read_adapter_folder(folder, base_name="tiny").modules.keys() == {"layers.0.q_proj"}


def test_what_it_takes_is_counted_from_the_header(folder: Path) -> None:
    values_stored = 2 * 2 * 8
    assert adapter_bytes(folder) == values_stored * (4 + 4)


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pkl"])
def test_a_pickle_is_refused_by_name(suffix: str, folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / f"adapter_model{suffix}")
    with pytest.raises(WeightsRefused, match=rf"pickled weights \(adapter_model\{suffix}\)"):
        read_adapter_folder(folder, base_name="tiny")
