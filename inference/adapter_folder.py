"""What lies in a folder of a LoRA adapter (peft's form): refuses what must not or cannot be applied, before loading."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.safetensors_header import Tensor
from inference.weight_folder import PICKLE_SUFFIXES, WeightsRefused, json_object, stored_tensors
from inference.weight_tensors import ADAPTER_FILE

CONFIG_NAME: Final = "adapter_config.json"
WEIGHTS_NAME: Final = ADAPTER_FILE
_TENSOR_NAME: Final = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])\.weight")
# Each of these changes the arithmetic, so an adapter that has one set would give wrong tokens.
_UNSUPPORTED: Final = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "modules_to_save",
    "layer_replication",
    "megatron_config",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
)
# Other initialisations ("pissa", "olora", …) rewrite the base's weights before training.
_INITIALISATIONS: Final = (True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True)
class Factors:
    """A module's two small matrices as the header lists them: `down` is `(rank, in)`, `up` is `(out, rank)`.

    Their product counts `scaling` times.
    """

    down: Tensor
    up: Tensor
    scaling: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """An adapter that passed the checks; `modules` by name."""

    path: Path
    alpha: float
    modules: Mapping[str, Factors]

    def sha256(self) -> str:
        """The digest of the weights."""
        with (self.path / WEIGHTS_NAME).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_adapter_folder(path: Path, *, base_name: str) -> AdapterFolder:
    """Check an adapter for the base whose folder is called `base_name`. Raises WeightsRefused."""
    if not path.is_dir():
        raise WeightsRefused(f"{path} is not a folder.")
    config = json_object(path / CONFIG_NAME)
    _require_supported(path.name, config)
    _require_base(path.name, config, base_name)
    weights = path / WEIGHTS_NAME
    if not weights.is_file():
        pickles = sorted(file.name for file in path.iterdir() if file.suffix in PICKLE_SUFFIXES)
        if pickles:
            raise WeightsRefused(
                f"{path.name} holds pickled weights ({', '.join(pickles)}), which can run code: make safetensors of "
                "them."
            )
        raise WeightsRefused(f"{path.name} has no {WEIGHTS_NAME}.")
    alpha = _number(path.name, "lora_alpha", config.get("lora_alpha"))
    return AdapterFolder(path, alpha, _modules(path.name, weights, config))


def _require_supported(name: str, config: Mapping[str, Any]) -> None:
    if "auto_map" in config:
        raise WeightsRefused(f"{name} needs code from its repository, which is never run here.")
    if config.get("peft_type") != "LORA":
        raise WeightsRefused(f"{name} is an adapter of the type {config.get('peft_type')}; only LORA can be applied.")
    for option in _UNSUPPORTED:
        if config.get(option):
            raise WeightsRefused(f"{name} was trained with {option}, which cannot be applied here.")
    if config.get("bias", "none") != "none":
        raise WeightsRefused(f"{name} was trained with bias, which cannot be applied here.")
    if config.get("init_lora_weights", True) not in _INITIALISATIONS:
        raise WeightsRefused(
            f"{name} was trained with init_lora_weights {config['init_lora_weights']}, which changes the base's own "
            "weights."
        )


def _require_base(name: str, config: Mapping[str, Any], base_name: str) -> None:
    wanted = config.get("base_model_name_or_path")
    if not isinstance(wanted, str) or not wanted:
        raise WeightsRefused(f"{CONFIG_NAME} of {name} does not name its base (base_model_name_or_path).")
    # A hub's owner/name and a folder on the training machine both end in the model's own name.
    if wanted.rstrip("/\\").replace("\\", "/").rpartition("/")[2].casefold() != base_name.casefold():
        raise WeightsRefused(f"{name} was trained on {wanted}, not on {base_name}.")


def _number(name: str, field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WeightsRefused(f"{CONFIG_NAME} of {name}: {field} must be a number.")
    return float(value)


def _alphas(name: str, config: Mapping[str, Any]) -> Callable[[str], float]:
    """A module's alpha. The exceptions from `lora_alpha` go by the ends of module names."""
    usual = _number(name, "lora_alpha", config.get("lora_alpha"))
    pattern = config.get("alpha_pattern") or {}
    if not isinstance(pattern, dict):
        raise WeightsRefused(f"{CONFIG_NAME} of {name}: alpha_pattern must be an object.")
    endings: dict[str, float] = {}
    for key, value in pattern.items():
        # peft takes regular expressions; only those that are a name are read, since a hostile one could run for ever.
        ending = key.removeprefix(".*\\.").replace("\\.", ".")
        if not re.fullmatch(r"[\w.]+", ending):
            raise WeightsRefused(f"{CONFIG_NAME} of {name}: alpha_pattern {key} is more than the end of a name.")
        endings[ending] = _number(name, f"alpha_pattern {key}", value)

    def alpha_of(module: str) -> float:
        return next((alpha for ending, alpha in endings.items() if f".{module}".endswith(f".{ending}")), usual)

    return alpha_of


def _modules(name: str, weights: Path, config: Mapping[str, Any]) -> dict[str, Factors]:
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in stored_tensors(weights):
        match = _TENSOR_NAME.fullmatch(tensor.name)
        if match is None or len(tensor.shape) != 2:
            raise WeightsRefused(f"{name} holds {tensor.name}, which is not a factor of a linear layer.")
        found.setdefault(match["module"], {})[match["factor"]] = tensor
    alpha_of = _alphas(name, config)
    modules = {}
    for module, factors in found.items():
        if len(factors) < 2 or factors["A"].shape[0] != factors["B"].shape[1]:
            raise WeightsRefused(f"{name}: the two factors of {module} do not fit together.")
        rank = factors["A"].shape[0]
        if rank < 1:
            raise WeightsRefused(f"{name}: the factors of {module} are empty.")
        scaling = alpha_of(module) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        modules[module] = Factors(factors["A"], factors["B"], scaling)
    if not modules:
        raise WeightsRefused(f"{name} holds no weights.")
    return modules
