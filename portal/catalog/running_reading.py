"""Reads weights for a page, in a worker: one tensor's values, what differs between two variants, a variant's speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from inference.file_digests import file_stamps
from inference.gguf_header import InvalidGGUF
from inference.safetensors_header import InvalidHeader
from inference.speed import CannotMeasure
from inference.tensor_statistics import tensor_statistics
from inference.tensor_values import UnreadableValues, stored_tensors_of, stored_tensors_of_gguf
from inference.weight_comparison import Comparison, Weights, compare_weights, with_adapter
from inference.weight_folder import WeightsRefused
from inference.weight_rounding import ROUNDINGS
from inference.weight_tensors import UnreadableWeights
from portal.catalog.job_models import Reading, WeightReading
from portal.catalog.job_run import JobFailed
from portal.catalog.measuring import measure_variant
from portal.catalog.models import TensorPart, Variant
from portal.catalog.weight_files import origin_file
from portal.catalog.weight_shelf import Progress

# Of a model with more, the page shows those that changed most.
KEPT_TENSORS: Final = 5_000
KEPT_NAMES: Final = 500


def read(job: WeightReading, report: Progress) -> dict[str, Any]:
    """The columns of the finished reading. Raises JobFailed with the sentence for who asked."""
    try:
        if job.kind == Reading.MEASURING:
            return {"result": _measured(job.variant, report)}
        if job.kind == Reading.TENSOR:
            return {"result": _tensor(job, report)}
        assert job.other is not None
        found = compare_weights(
            _weights(job.variant), _weights(job.other), lambda done, total: report("comparing", done, total)
        )
        return {"result": _kept(found)}
    except (UnreadableValues, UnreadableWeights, WeightsRefused, InvalidHeader, InvalidGGUF) as error:
        raise JobFailed(f"The weights cannot be read: {error}") from error


def _tensor(job: WeightReading, report: Progress) -> dict[str, Any]:
    if job.part == TensorPart.ORIGIN:
        file = origin_file(job.variant)
        if file is None:
            raise JobFailed("The file that these weights were converted from is not on this machine any more.")
        tensors = stored_tensors_of_gguf(file)
    else:
        tensors = stored_tensors_of(_folder(job.variant))
    if job.tensor not in tensors:
        raise JobFailed(f"The weights have no tensor {job.tensor} any more.")
    statistics = tensor_statistics(tensors[job.tensor], lambda done, total: report("reading", done, total))
    return statistics.as_dict()


def _measured(variant: Variant, report: Progress) -> dict[str, Any]:
    """Nothing: the figures are facts of the variant."""
    try:
        measure_variant(variant, again=True, on_progress=lambda share, _: report("measuring", round(100 * share), 100))
    except (CannotMeasure, ImproperlyConfigured, MemoryError, ValueError) as error:
        raise JobFailed(f"{variant.model_id} cannot be measured: {error}") from error
    return {}


def _weights(variant: Variant) -> Weights:
    if variant.is_adapter:
        assert variant.base is not None
        return with_adapter(_weights(variant.base), _folder(variant))
    return Weights(stored_tensors_of(_folder(variant)), ROUNDINGS.get(variant.dtype))


def _folder(variant: Variant) -> Path:
    folder = variant.folder
    if folder is None:
        raise JobFailed(f"The weights of {variant.model_id} lie on another server.")
    if not folder.is_dir() or file_stamps(folder) != variant.file_stamps:
        raise JobFailed(f"The files of {variant.model_id} are not those that its card describes; read its facts again.")
    return folder


def _kept(found: Comparison) -> dict[str, Any]:
    result = found.as_dict()
    if len(found.tensors) > KEPT_TENSORS:
        most = sorted(result["tensors"], key=lambda each: -(each["relative"] or 0.0))[:KEPT_TENSORS]
        result["tensors"] = most
    result["tensor_count"] = len(found.tensors)
    for name in ("only_in_first", "only_in_second", "reshaped"):
        result[f"{name}_count"] = len(result[name])
        result[name] = result[name][:KEPT_NAMES]
    return result
