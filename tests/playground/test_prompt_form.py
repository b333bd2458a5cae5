"""The prompt form: defaults, ranges, line ends, and which field is blamed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.forms import PromptForm, new_conversation_initial, next_turn_initial
from portal.playground.parameter_fields import MAIN_PARAMETERS
from portal.playground.variant_defaults import default_parameters
from tests.playground.turns import add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db


def form_with(variant: Variant, /, **fields: Any) -> PromptForm:
    return PromptForm(prompt_form(variant, **fields), variants=[variant])


def test_a_valid_form_becomes_a_variant_texts_and_sampling_parameters(variant: Variant) -> None:
    form = form_with(variant, seed="9223372036854775807", system_prompt="Be brief.")
    assert form.is_valid(), form.errors
    sent = form.cleaned_data
    assert sent["variant"] == variant
    assert sent["system_prompt"] == "Be brief."
    params = sent["params"]
    assert (params.temperature, params.top_p, params.max_tokens, params.seed) == (0.7, 0.95, 64, 2**63 - 1)


def test_an_empty_parameter_takes_the_variants_default(variant: Variant) -> None:
    form = form_with(variant, temperature="", top_p="", max_tokens="", seed="")
    assert form.is_valid(), form.errors
    params = form.cleaned_data["params"]
    assert (params.temperature, params.top_p, params.max_tokens, params.seed) == (0.2, 0.9, 256, None)


def test_defaults_that_no_field_shows_are_kept(db: None) -> None:
    variant = make_variant(defaults={"temperature": 0.5, "top_k": 40, "repetition_penalty": 1.1})
    form = form_with(variant)
    assert form.is_valid(), form.errors
    assert (form.cleaned_data["params"].top_k, form.cleaned_data["params"].repetition_penalty) == (40, 1.1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("temperature", "2.1", "At most 2."),
        ("temperature", "-0.1", "At least 0."),
        ("temperature", "nan", "Enter a number."),
        ("temperature", "hot", "Enter a number."),
        ("top_p", "1.01", "Above 0 and at most 1."),
        ("top_p", "0", "Above 0 and at most 1."),
        ("top_p", "-1", "Above 0 and at most 1."),
        ("max_tokens", "0", "At least 1."),
        ("max_tokens", "1.5", "Enter a number."),
        ("max_tokens", "9" * 5000, "Enter a number."),
        ("seed", "-1", "At least 0."),
        ("seed", str(2**63), "At most 9,223,372,036,854,775,807."),
        ("seed", "x", "Enter a number."),
    ],
)
def test_a_parameter_out_of_range_is_blamed_with_its_limit(variant: Variant, field: str, value: str, said: str) -> None:
    form = form_with(variant, **{field: value})
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert form.errors[field] == [said]
    assert [each.name for each in form.settings_errors] == [field]


def test_everything_that_is_wrong_is_said_at_once(variant: Variant, settings: Settings) -> None:
    typed = {
        "variant": "nobody/nothing:none",
        "temperature": "hot",
        "top_p": "0",
        "max_tokens": "10",
        "repetition_penalty": "0",
        "min_tokens": "11",
        "stop": "x" * 101,
        "logit_bias": "1: 101",
        "system_prompt": "x" * (settings.MAX_SYSTEM_PROMPT_CHARACTERS + 1),
        "prompt": "x" * (settings.MAX_PROMPT_CHARACTERS + 1),
    }
    assert set(form_with(variant, **typed).errors) == set(typed) - {"max_tokens"}


def test_what_was_meant_is_not_guessed_beside_a_number_that_is_none(variant: Variant) -> None:
    assert list(form_with(variant, max_tokens="many", min_tokens="300").errors) == ["max_tokens"]


def test_defaults_that_contradict_what_was_typed_are_said_and_not_a_crash(db: None) -> None:
    form = form_with(make_variant(defaults={"min_tokens": 100}), max_tokens="10")
    assert not form.is_valid()
    assert form.errors["min_tokens"] == ["Must not exceed max_tokens (10)."]


@pytest.mark.parametrize("prompt", ["", None])
def test_a_prompt_is_required(variant: Variant, prompt: str | None) -> None:
    data = prompt_form(variant)
    data.pop("prompt")
    form = PromptForm(data | ({} if prompt is None else {"prompt": prompt}), variants=[variant])
    assert not form.is_valid()
    assert form.errors["prompt"] == ["Write a prompt."]


def test_null_characters_are_refused_beside_the_prompt(variant: Variant) -> None:
    form = form_with(variant, prompt="a\x00b")
    assert not form.is_valid()
    assert list(form.errors) == ["prompt"]


def test_line_ends_are_as_typed_and_spaces_are_kept(variant: Variant) -> None:
    form = form_with(variant, prompt="  first\r\nsecond\n", system_prompt="a\r\nb")
    assert form.is_valid(), form.errors
    assert form.cleaned_data["prompt"] == "  first\nsecond\n"
    assert form.cleaned_data["system_prompt"] == "a\nb"


def test_a_system_prompt_of_spaces_is_none(variant: Variant) -> None:
    form = form_with(variant, system_prompt=" \r\n ")
    assert form.is_valid(), form.errors
    assert form.cleaned_data["system_prompt"] == ""


@pytest.mark.parametrize("wanted", ["", "nobody/nothing:none", "<script>"])
def test_a_variant_that_cannot_run_is_refused(variant: Variant, wanted: str) -> None:
    form = form_with(variant, variant=wanted)
    assert not form.is_valid()
    assert list(form.errors) == ["variant"]


@pytest.mark.parametrize("key", ["", "not-a-uuid"])
def test_a_form_without_its_key_is_refused_in_words(variant: Variant, key: str) -> None:
    form = form_with(variant, request_key=key)
    assert not form.is_valid()
    assert len(form.general_errors) == 1


def test_the_next_turn_needs_a_parent_of_its_own_conversation(alice: User, variant: Variant) -> None:
    conversation, other = make_conversation(alice), make_conversation(alice)
    mine, foreign = add_turn(conversation, variant), add_turn(other, variant)
    for parent, is_valid in ((mine.pk, True), (foreign.pk, False), ("", False), (uuid.uuid4(), False)):
        data = prompt_form(variant, parent=str(parent))
        form = PromptForm(data, variants=[variant], conversation=conversation)
        assert form.is_valid() is is_valid
        assert bool(form.general_errors) is not is_valid


def test_what_the_service_refuses_stands_beside_its_field(variant: Variant) -> None:
    form = form_with(variant)
    assert form.is_valid()
    form.add_service_errors(ValidationError({"prompt": ["Too long."], "unknown": ["Something else."]}))
    assert form.errors["prompt"] == ["Too long."]
    assert form.general_errors == ["Something else."]


def test_a_new_form_shows_the_variants_defaults_within_the_installations_limit(
    variant: Variant, settings: Settings
) -> None:
    settings.MAX_OUTPUT_TOKENS = 100
    initial = new_conversation_initial(variant, prompt="x" * 40_000)
    assert {name: initial[name] for name in MAIN_PARAMETERS} == {
        "temperature": "0.2", "top_p": "0.9", "max_tokens": "100", "seed": "",
    }  # fmt: skip
    assert len(initial["prompt"]) == settings.MAX_PROMPT_CHARACTERS
    assert "1 to 100" in str(PromptForm(variants=[variant]).fields["max_tokens"].help_text)


def test_each_rendering_has_a_key_of_its_own(variant: Variant) -> None:
    assert new_conversation_initial(variant)["request_key"] != new_conversation_initial(variant)["request_key"]


def test_the_next_turn_keeps_variant_parameters_and_system_prompt_and_draws_a_new_seed(
    alice: User, variant: Variant
) -> None:
    conversation = make_conversation(alice, system_prompt="Be brief.")
    params = default_parameters(variant) | {"temperature": 1.3, "seed": 5}
    last = add_turn(conversation, variant, params=params)
    initial = next_turn_initial(last, runs_here=True, instead=None)
    assert (initial["variant"], initial["parent"]) == (variant.model_id, last.pk)
    assert (initial["temperature"], initial["seed"], initial["system_prompt"]) == ("1.3", "", "Be brief.")


def test_another_variant_stands_in_for_one_that_runs_here_no_more(alice: User, variant: Variant) -> None:
    other = make_variant("smol/other")
    last = add_turn(make_conversation(alice), variant)
    assert next_turn_initial(last, runs_here=False, instead=other)["variant"] == other.model_id
    assert next_turn_initial(last, runs_here=False, instead=None)["variant"] == ""


def test_variants_are_grouped_by_card_and_carry_their_defaults(variant: Variant) -> None:
    other = make_variant("smol/other", defaults={"temperature": 1.5})
    html = str(PromptForm(variants=[variant, other])["variant"])
    assert html.count("<optgroup") == 2
    assert "&quot;temperature&quot;: &quot;1.5&quot;" in html
