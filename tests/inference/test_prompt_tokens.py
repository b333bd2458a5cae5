"""Counting a prompt without torch: the same tokens that the engine's own renderer makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from inference.engine import GenerationRequest, Message
from inference.prompt_tokens import PromptCounter, PromptUncountable
from inference.sampling_params import SamplingParams

CHATS = [
    [Message("user", "Hello")],
    [Message("system", "Be brief."), Message("user", "Grüße! 你好 🙂\n\n\tdef f(): pass")],
    [Message("user", "One"), Message("assistant", "Two <|im_end|> three"), Message("user", "")],
    [Message("user", "Say"), Message("assistant", "Once upon")],
]


@pytest.mark.weights
@pytest.mark.parametrize("messages", CHATS)
def test_it_counts_what_the_engine_reads(prepared_weights: Path, messages: list[Message]) -> None:
    from transformers import AutoTokenizer

    from inference.chat_prompt import PromptRenderer

    renderer = PromptRenderer(AutoTokenizer.from_pretrained(prepared_weights))
    counter = PromptCounter.from_folder(prepared_weights)
    chat = GenerationRequest(request_id="1", messages=tuple(messages), params=SamplingParams())
    assert counter.render(messages) == renderer.render(chat).text
    assert counter.count_chat(messages) == len(renderer.render(chat).token_ids)
    raw = GenerationRequest(request_id="1", messages=(messages[-1],), params=SamplingParams(), completion=True)
    if messages[-1].content:
        assert counter.count_text(messages[-1].content) == len(renderer.render(raw).token_ids)


def write_folder(folder: Path, template: str | None, **config: object) -> Path:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **config}))
    return folder


def test_templates_of_the_hub_s_dialect_are_understood(tmp_path: Path) -> None:
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}"
        "{% generation %}{{ m.content | tojson }} {% endgeneration %}{% endfor %}{{ strftime_now('%Y')[:2] }}"
    )
    folder = write_folder(tmp_path, template, bos_token={"content": "go"})
    counter = PromptCounter.from_folder(folder)
    assert counter.render([Message("user", "ä<b>")]) == 'go"ä<b>" 20'


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system prompt') }}",
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.join.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_refuses_or_leaves_its_sandbox_is_no_crash(tmp_path: Path, template: str) -> None:
    counter = PromptCounter.from_folder(write_folder(tmp_path, template))
    try:
        rendered = counter.render([Message("user", "x")])
    except PromptUncountable:
        rendered = ""
    assert "class" not in rendered
    assert "globals" not in rendered


@pytest.mark.parametrize("broken", ["{% if", "{{ 1 | nothing }}"])
def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path, broken: str) -> None:
    with pytest.raises(PromptUncountable):
        PromptCounter.from_folder(tmp_path)
    with pytest.raises(PromptUncountable):
        PromptCounter.from_folder(write_folder(tmp_path, broken))


def test_a_model_without_a_template_continues_the_joined_text(tmp_path: Path) -> None:
    counter = PromptCounter.from_folder(write_folder(tmp_path, None))
    assert not counter.has_chat_template
    assert counter.count_chat([Message("user", "a b"), Message("user", " c")]) == 3
