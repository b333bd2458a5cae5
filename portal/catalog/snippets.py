"""Programs that use a variant, to copy: with its exact ids and digests, and none that could not work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from portal.catalog.models import Backend, ModelCard, Relation, Variant

QUESTION = "What is a steelyard?"


@dataclass(frozen=True, slots=True)
class Snippet:
    """One program: `slug` names it, `language` is shown, `before` says what it needs."""

    slug: str
    title: str
    language: str
    before: str
    code: str


def snippets(variant: Variant, *, portal_url: str) -> list[Snippet]:
    """This portal's own endpoint first, since it works for every variant that runs here."""
    found = list(_portal(variant, portal_url)) if variant.is_runnable else []
    if variant.backend == Backend.TRANSFORMERS:
        found += [*_transformers(variant), *_vllm(variant), *_llama_cpp(variant)]
    return found


def _portal(variant: Variant, portal_url: str) -> Iterator[Snippet]:
    needs = _("A token of yours with the scope “submit”, from your account's page, in STEELYARD_TOKEN.")
    yield Snippet(
        "openai",
        _("This portal, by the openai package"),
        "python",
        needs,
        f"""import os

from openai import OpenAI

client = OpenAI(base_url={portal_url + "/v1"!r}, api_key=os.environ["STEELYARD_TOKEN"])
answer = client.chat.completions.create(
    model={variant.model_id!r},
    messages=[{{"role": "user", "content": {QUESTION!r}}}],
    max_tokens=64,
)
print(answer.choices[0].message.content)
""",
    )
    body = {"model": variant.model_id, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 64}
    yield Snippet(
        "curl",
        _("This portal, by curl"),
        "sh",
        needs,
        f"""curl --silent --fail {shlex.quote(portal_url + "/v1/chat/completions")} \\
  --header "Authorization: Bearer $STEELYARD_TOKEN" \\
  --header 'Content-Type: application/json' \\
  --data {shlex.quote(json.dumps(body))}
""",
    )


def _source(card: ModelCard, variant: Variant) -> tuple[str, str]:
    """The hub's id and commit where the variant came from there; else the card's name, which hubs share, and none."""
    hub = variant.facts.get("hub")
    if isinstance(hub, dict) and hub.get("repo_id"):
        return str(hub["repo_id"]), str(hub.get("commit") or "")
    return card.name, ""


def _adapter_source(variant: Variant) -> tuple[str, str]:
    """An adapter without a card of its own is on no hub: its folder below STEELYARD_HOME."""
    has_own_card = variant.base is None or variant.base.card_id != variant.card_id
    return _source(variant.card, variant) if has_own_card or variant.facts.get("hub") else (variant.source, "")


def _transformers(variant: Variant) -> Iterator[Snippet]:
    running = variant.runs_on
    name, commit = _source(running.card, running)
    revision = f", revision={commit!r}" if commit else ""
    adapter = ""
    if variant.is_adapter:
        theirs, their_commit = _adapter_source(variant)
        pinned = f", revision={their_commit!r}" if their_commit else ""
        adapter = f"""
# {_weights_digest(variant)}
from peft import PeftModel

model = PeftModel.from_pretrained(model, os.environ.get("ADAPTER", {theirs!r}){pinned})"""
    digest = _weights_digest(running)
    dtype = running.dtype if running.dtype in {"float32", "bfloat16", "float16"} else "bfloat16"
    yield Snippet(
        "transformers",
        "transformers",
        "python",
        _("MODEL may name a folder with the files instead, such as the one that this portal keeps."),
        f"""import os

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

# {digest}
name = os.environ.get("MODEL", {name!r})
tokenizer = AutoTokenizer.from_pretrained(name{revision})
model = AutoModelForCausalLM.from_pretrained(name{revision}, dtype=torch.{dtype}){adapter}
inputs = tokenizer.apply_chat_template(
    [{{"role": "user", "content": {QUESTION!r}}}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
output = model.generate(**inputs, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
""",
    )


def _vllm(variant: Variant) -> Iterator[Snippet]:
    running = variant.runs_on
    name, commit = _source(running.card, running)
    command = ["vllm", "serve", name, *(["--revision", commit] if commit else [])]
    if variant.is_adapter:
        command += ["--enable-lora", "--lora-modules", f"{variant.slug}={_adapter_source(variant)[0]}"]
    length = running.context_length
    command += ["--max-model-len", str(length)] if length else []
    yield Snippet(
        "vllm",
        "vLLM",
        "sh",
        _("A machine with vLLM. “manage.py import_model http://localhost:8000/v1” then makes it a variant here."),
        shlex.join(command) + "\n",
    )


def _llama_cpp(variant: Variant) -> Iterator[Snippet]:
    """For weights that came out of a GGUF file, which llama.cpp reads itself."""
    origin = variant.facts.get("origin")
    if variant.relation == Relation.ADAPTER or not isinstance(origin, dict) or not origin.get("source_sha256"):
        return
    file, digest = str(origin.get("source")), str(origin["source_sha256"])
    length = variant.context_length
    context = f" --ctx-size {length}" if length else ""
    checked = shlex.quote(f"{digest}  {file}")
    yield Snippet(
        "llama.cpp",
        "llama.cpp",
        "sh",
        _("The GGUF file that these weights were unpacked from, and llama.cpp."),
        f"""echo {checked} | sha256sum --check
llama-server --model {shlex.quote(file)}{context}
""",
    )


def _weights_digest(variant: Variant) -> str:
    digests: dict[str, Any] = variant.digests
    files = [(name, digest) for name, digest in sorted(digests.items()) if name.endswith(".safetensors")]
    if len(files) == 1:
        return f"{files[0][0]}: SHA-256 {files[0][1]}"
    return f"{len(files)} files of weights, whose SHA-256 the card lists"
