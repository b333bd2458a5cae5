"""Presets and the parameters as JSON: applied to the composer's settings, saved, shared by link, nobody else's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, Preset
from tests.playground.turns import add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db
URL = "/playground/settings/"
HTMX = {"HX-Request": "true"}


def press(client: Client, variant: Variant, do: str, **fields: Any) -> str:
    response = client.post(URL, prompt_form(variant, do=do, **fields), headers=HTMX)
    assert response["HX-Retarget"] == "#settings"
    assert not Generation.objects.exists()
    return response.content.decode()


def value_of(page: str, name: str) -> str:
    tag = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
    assert tag is not None
    found = re.search(r'value="([^"]*)"', tag[0])
    return found[1] if found else ""


def test_every_parameter_has_its_help_and_a_changed_one_is_marked(client: Client, db: None) -> None:
    variant = make_variant(defaults={"temperature": 0.2, "top_k": 40})
    page = client.get("/playground/").content.decode()
    for words in ("0 keeps all", "1 is off", "-100 to 100", "is a line break", "0 to 2⁶³-1", "0 to max tokens"):
        assert words in page
    assert "parameter--changed" not in page
    page = press(client, variant, "preset:creative", top_k="40")
    assert (value_of(page, "temperature"), value_of(page, "min_p"), value_of(page, "top_k")) == ("1.1", "0.05", "40")
    assert page.count("parameter--changed") == 3 - (variant.defaults.get("top_p") is None)
    assert "1 changed" in page
    page = press(client, variant, "reset", temperature="1.9", top_k="3")
    assert (value_of(page, "temperature"), value_of(page, "top_k")) == ("0.2", "40")
    assert "parameter--changed" not in page


def test_json_is_shown_pasted_and_refused_beside_its_field(client: Client, variant: Variant) -> None:
    page = press(client, variant, "json", stop="END\n\\n\\n", logit_bias="5: -1.5", seed="7")
    shown = re.search(r"<textarea id=\"parameters_json\"[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert shown is not None
    values = json.loads(shown[1].replace("&quot;", '"'))
    assert (values["stop"], values["logit_bias"], values["seed"]) == (["END", "\n\n"], {"5": -1.5}, 7)
    page = press(client, variant, "apply_json", json=json.dumps(values | {"top_k": 12}))
    assert value_of(page, "top_k") == "12"
    assert "END\n\\n\\n</textarea>" in page
    for wrong, said in (
        ("{", "This is not JSON"),
        ("[1]", "Must be a JSON object"),
        ('{"heat": 1}', "heat: is not a sampling parameter."),
        ('{"temperature": 3}', "temperature: must be a number"),
        ('{"temperature": 3, "top_p": 0}', "top_p: must be a number above 0"),
        ('{"max_tokens": 9999}', "max_tokens: must be a whole number from 1 to 2048."),
        ("[" * 19_000, "This is not JSON"),
        ("1" * 20_001, "At most 20,000 characters."),
    ):
        response = client.post(URL, prompt_form(variant, do="apply_json", json=wrong, temperature="1.3"), headers=HTMX)
        assert response.status_code == 422
        page = response.content.decode()
        assert said in page
        assert value_of(page, "temperature") == "1.3"


def test_without_scripts_the_page_comes_back_with_the_text(client: Client, variant: Variant) -> None:
    page = client.post(URL, prompt_form(variant, do="preset:precise", prompt="kept words")).content.decode()
    assert "kept words</textarea>" in page
    assert value_of(page, "temperature") == "0.2"


def test_without_scripts_a_conversation_stays_where_it_was(
    alice: User, alice_client: Client, bob_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="First words")
    add_turn(conversation, variant, first, prompt="Later words")
    sent = prompt_form(variant, do="preset:precise", prompt="kept words", conversation=conversation.pk, parent=first.pk)
    page = alice_client.post(URL, sent).content.decode()
    assert f'action="{conversation.get_absolute_url()}"' in page
    assert (value_of(page, "parent"), value_of(page, "temperature")) == (str(first.pk), "0.2")
    assert "kept words</textarea>" in page
    assert ("First words" in page, "Later words" in page) == (True, False)
    page = bob_client.post(URL, sent).content.decode()
    assert f'action="{conversation.get_absolute_url()}"' not in page
    assert "First words" not in page


def test_a_preset_keeps_what_differs_is_replaced_by_its_name_and_applied(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    page = press(alice_client, variant, "save", preset_name=" Mine ", temperature="1.5", top_p="0.9", max_tokens="256",
                 system_prompt="Be brief.")  # fmt: skip
    preset = Preset.objects.get(owner=alice)
    assert (preset.name, preset.params, preset.system_prompt) == ("Mine", {"temperature": 1.5}, "Be brief.")
    assert f"preset:{preset.pk}" in page
    press(alice_client, variant, "save", preset_name="Mine", temperature="1.6")
    assert Preset.objects.get(owner=alice).params["temperature"] == 1.6
    page = press(alice_client, variant, f"preset:{preset.pk}", temperature="0")
    assert value_of(page, "temperature") == "1.6"
    refused = alice_client.post(URL, prompt_form(variant, do="save", preset_name="x" * 61), headers=HTMX)
    assert (refused.status_code, "1 to 60 characters" in refused.content.decode()) == (422, True)
    assert alice_client.post(URL, prompt_form(variant, do="dance"), headers=HTMX).status_code == 404


def test_a_shared_preset_is_copied_until_its_link_is_revoked(
    alice: User, bob: User, alice_client: Client, bob_client: Client, client: Client, variant: Variant
) -> None:
    preset = Preset.objects.create(owner=alice, name="Warm", params={"temperature": 1.5}, system_prompt="<b>")
    change = reverse("playground:change_preset", args=[preset.pk])
    for stranger in (bob_client, client):
        assert stranger.post(change, {"do": "share"}).status_code == 404
        refused = stranger.post(URL, prompt_form(variant, do=f"preset:{preset.pk}"), headers=HTMX)
        assert refused.status_code == 422
    assert alice_client.post(change, {"do": "share"}).status_code == 302
    preset.refresh_from_db()
    shared = preset.get_absolute_url()
    assert shared in alice_client.get("/playground/presets/").content.decode()
    page = client.get(shared).content.decode()
    assert "&quot;temperature&quot;: 1.5" in page
    assert "&lt;b&gt;" in page
    for _ in range(2):
        bob_client.post(shared)
    assert sorted(Preset.objects.filter(owner=bob).values_list("name", flat=True)) == ["Warm", "Warm 2"]
    alice_client.post(change, {"do": "unshare"})
    assert client.get(shared).status_code == 404
    assert "Warm" in bob_client.get("/playground/presets/").content.decode()
    own = alice_client.get(f"/playground/presets/?delete={preset.pk}").content.decode()
    assert "Delete “Warm” for good?" in own
    assert "Delete “Warm” for good?" not in bob_client.get(f"/playground/presets/?delete={preset.pk}").content.decode()
    alice_client.post(change, {"do": "delete"})
    assert not Preset.objects.filter(owner=alice).exists()
