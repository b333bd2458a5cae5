"""What lies inside weights, computed on demand: one tensor's values, and what differs between two variants."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inference.template_example import TemplateFailed, rendered_example
from portal.accounts.actors import current_actor
from portal.catalog.access import get_maintained_card, get_variant, may_maintain_cards
from portal.catalog.charts import histogram_chart, layer_chart
from portal.catalog.disagreements import disagreements
from portal.catalog.forms import MemoryForm
from portal.catalog.job_models import WeightReading
from portal.catalog.models import Backend, TensorPart, Variant
from portal.catalog.queries import tensor_rows
from portal.catalog.snippets import snippets
from portal.catalog.tensor_rows import TensorRow
from portal.catalog.variant_facts import measured_facts, specification
from portal.catalog.weight_readings import (
    ask_comparison,
    ask_measuring,
    ask_measuring_all,
    ask_tensor_reading,
    find_comparison,
    find_measuring,
    find_tensor_reading,
)

SHOWN_TENSORS = 40


@require_http_methods(["GET", "HEAD", "POST"])
def facts(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """Everything read from a variant's files: where the card disagrees, memory at a context, the chat template.

    A maintainer's POST has its speed and quality measured.
    """
    shown = get_variant(request.user, owner_name, slug, variant_slug)
    variant = Variant.objects.select_related("card__current_revision", "base__card").get(pk=shown.pk)
    may_measure = may_maintain_cards(request.user) and variant.is_runnable
    if request.method == "POST":
        if not may_measure:
            raise Http404
        ask_measuring(current_actor(request), variant)
        return redirect(f"{request.path}#measured")
    job = find_measuring(variant)
    measured = {"variant": variant, "measured": measured_facts(variant), "may_measure": may_measure, "job": job}
    if request.htmx:  # type: ignore[attr-defined]
        # Asked every second, while the worker measures.
        return _answer(request, "catalog/facts.html", "catalog/measured_state.html", measured, job)
    form = MemoryForm(request.GET if "tokens" in request.GET else None, variant=variant)
    context = {
        **measured,
        "card": variant.card,
        "facts": specification(variant),
        "disagreements": disagreements(variant.card, variant),
        "form": form,
        "memory": form.memory() if form.cached_numbers else None,
        "example": _example(variant),
        "special_tokens": variant.facts.get("special_tokens") or {},
    }
    return _answer(request, "catalog/facts.html", "catalog/measured_state.html", context, job)


@require_POST
def measure_card(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """A maintainer has every variant of a card measured that was not measured yet, one after the other."""
    card = get_maintained_card(request.user, owner_name, slug)
    asked = ask_measuring_all(current_actor(request), card.variants.select_related("card"))
    said = ngettext(
        "%(count)s variant is measured now, which takes a worker about a minute.",
        "%(count)s variants are measured now, one after the other: about a minute of a worker each.",
        len(asked),
    )
    messages.success(request, said % {"count": len(asked)})
    return redirect(f"{card.get_absolute_url()}#variants")


@require_safe
def use(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """Programs to copy that use the variant, here and elsewhere."""
    shown = get_variant(request.user, owner_name, slug, variant_slug)
    variant = Variant.objects.select_related("card", "base__card").get(pk=shown.pk)
    address = request.build_absolute_uri("/").rstrip("/")
    context = {
        "card": variant.card,
        "variant": variant,
        "snippets": snippets(variant, portal_url=address),
        "weight_files": [
            file for file in variant.facts.get("files", []) if file["name"].endswith((".safetensors", ".gguf"))
        ],
    }
    return render(request, "catalog/use.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def tensor(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """One tensor: what its header says, and its values' statistics once they were read; POST has them read."""
    variant = _local_variant(request, owner_name, slug, variant_slug)
    part, row = _tensor_row(request, variant)
    if request.method == "POST":
        ask_tensor_reading(current_actor(request), variant, part, row.name)
        address = reverse("catalog:tensor", args=[owner_name, slug, variant.slug])
        return redirect(f"{address}?{urlencode({'name': row.name, 'part': part.value})}")
    job = find_tensor_reading(variant, part, row.name)
    result = job.result if job and job.state == "succeeded" else None
    context = {
        "card": variant.card,
        "variant": variant,
        "part": part,
        "row": row,
        "job": job,
        "result": result,
        "chart": histogram_chart(result["edges"], result["counts"]) if result and result["counts"] else None,
    }
    return _answer(request, "catalog/tensor.html", "catalog/tensor_state.html", context, job)


@require_http_methods(["GET", "HEAD", "POST"])
def compare_variants(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> HttpResponse:
    """Two variants side by side: what quantising or fine-tuning changed, layer by layer; POST has them compared."""
    variant = _local_variant(request, owner_name, slug, variant_slug)
    others = _comparable(variant)
    other = next((each for each in others if each.model_id == request.GET.get("with")), None)
    if other is None and "with" in request.GET:
        raise Http404
    if request.method == "POST":
        if other is None:
            raise Http404
        ask_comparison(current_actor(request), variant, other)
        return redirect(f"{request.path}?{urlencode({'with': other.model_id})}")
    job = find_comparison(variant, other) if other else None
    result = job.result if job and job.state == "succeeded" else None
    ordered = sorted(result["tensors"], key=lambda each: -(each["relative"] or 0.0)) if result else []
    context = {
        "card": variant.card,
        "variant": variant,
        "others": others,
        "other": other,
        "job": job,
        "result": result,
        "changed": [each for each in ordered if each["difference_norm"]][:SHOWN_TENSORS],
        "chart": layer_chart(result["layers"]) if result else None,
    }
    return _answer(request, "catalog/compare_variants.html", "catalog/compare_state.html", context, job)


def _example(variant: Variant) -> dict[str, str] | None:
    """The template's text for the example conversation, or why there is none."""
    facts = variant.runs_on.facts
    template = facts.get("chat_template")
    if not isinstance(template, str) or not template:
        return None
    tokens = facts.get("special_tokens")
    return dict(_rendered(template, tuple(sorted(tokens.items())) if isinstance(tokens, dict) else ()))


@lru_cache(maxsize=256)
def _rendered(template: str, tokens: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    try:
        return (("template", template), ("text", rendered_example(template, dict(tokens))))
    except TemplateFailed as error:
        return (("template", template), ("error", str(error)))


def _local_variant(request: HttpRequest, owner_name: str, slug: str, variant_slug: str) -> Variant:
    """The variant, with what its readings are kept under. Raises Http404, also for weights that lie elsewhere."""
    variant = get_variant(request.user, owner_name, slug, variant_slug)
    if variant.backend != Backend.TRANSFORMERS:
        raise Http404
    return Variant.objects.select_related("card", "base").get(pk=variant.pk)


def _tensor_row(request: HttpRequest, variant: Variant) -> tuple[TensorPart, TensorRow]:
    """The tensor that the address names. Raises Http404."""
    parts = tensor_rows(variant)
    wanted = request.GET.get("part", TensorPart.WEIGHTS.value)
    part = next((each for each in parts if each.value == wanted), None)
    row = next((row for row in parts.get(part, ()) if row.name == request.GET.get("name")), None) if part else None
    if part is None or row is None:
        raise Http404
    return part, row


def _comparable(variant: Variant) -> list[Variant]:
    """The card's other local variants, and those that were made from one of them or it from them, where all may see."""
    same_card = Variant.objects.filter(card=variant.card)
    related = Variant.objects.filter(base=variant) | Variant.objects.filter(pk=variant.base_id or 0)
    found = same_card | related.filter(card__is_published=True)
    local = found.filter(backend=Backend.TRANSFORMERS).exclude(pk=variant.pk)
    return list(local.select_related("card", "base").order_by("card_id", "position", "pk").distinct())


def _answer(
    request: HttpRequest, page: str, partial: str, context: dict[str, object], job: WeightReading | None
) -> HttpResponse:
    """The page, or to htmx the part that changes while a worker reads or measures."""
    response = render(request, partial if request.htmx else page, context)  # type: ignore[attr-defined]
    if job is None or job.is_active:
        response.headers["Cache-Control"] = "no-store"
    return response
