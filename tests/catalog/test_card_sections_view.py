"""What a card's page shows beside its text: picture, newer version, unknown fields, training, and what is not told."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.test import Client

from tests.catalog.shelf import make_card

pytestmark = pytest.mark.django_db

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000"
        "000049454e44ae426082"
    )
).decode()


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_a_picture_of_its_own_is_served_as_what_it_is_and_others_are_a_drawn_mark(client: Client) -> None:
    own = make_card("own", text=f"---\nthumbnail: data:image/png;base64,{PIXEL}\n---\n")
    remote = make_card("remote", text="---\nthumbnail: https://evil.example/pixel.png\n---\n")
    listed = page(client, "/")
    assert f'<img class="card-mark" src="{own.get_absolute_url()}thumbnail?1"' in listed
    assert "evil.example" not in listed
    assert "evil.example" not in page(client, remote.get_absolute_url())
    assert '<svg class="card-mark"' in page(client, remote.get_absolute_url())
    response = client.get(own.get_absolute_url() + "thumbnail")
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("image/png", "nosniff")
    assert response.content == base64.b64decode(PIXEL)
    assert client.get(remote.get_absolute_url() + "thumbnail").status_code == 404
    assert client.post(own.get_absolute_url() + "thumbnail").status_code == 405


def test_a_newer_version_is_a_banner_that_leads_to_it_where_it_is(client: Client, maintainer_client: Client) -> None:
    old = make_card("old", text="---\nnew_version: acme/new\n---\n")
    assert 'href="https://huggingface.co/acme/new"' in page(client, old.get_absolute_url())
    new = make_card("new", title="Newer model", is_published=False)
    assert "Newer model" not in page(client, old.get_absolute_url())
    assert "Newer model" in page(maintainer_client, old.get_absolute_url())
    type(new).objects.update(is_published=True)
    assert f'<a href="{new.get_absolute_url()}">Newer model</a>' in page(client, old.get_absolute_url())


def test_unknown_fields_are_shown_as_they_were_written(client: Client) -> None:
    html = page(client, make_card(text="---\nx_field: {inner: [1, '<b>']}\nlicense: mit\n---\n").get_absolute_url())
    assert "1 field more" in html
    assert "x_field:\n  inner:\n  - 1\n  - &lt;b&gt;" in html


TRAINING = """---
training:
  data:
  - {what: Web pages, detail: 2 trillion tokens, why: breadth, source: "https://data.example/card"}
  - {what: "<script>alert(1)</script>", source: "javascript:alert(1)"}
  compute: {not_published: The maker is silent.}
---
"""


def test_training_is_told_part_by_part_and_what_is_absent_is_shown_as_absent(client: Client) -> None:
    html = page(client, make_card(text=TRAINING).get_absolute_url()).split('id="training"')[1].split("</section>")[0]
    assert (
        '<a class="small" href="https://data.example/card" rel="nofollow noopener ugc">data.example/…/card</a>' in html
    )
    assert "Why: breadth" in html
    assert "The maker is silent." in html
    assert html.count("The card does not say") == 4
    assert "<script" not in html
    assert "javascript:" not in html
    assert 'id="training"' not in page(client, make_card("silent", text="# x\n").get_absolute_url())


def test_the_outline_says_what_is_missing_and_why(client: Client, alice_client: Client) -> None:
    card = make_card(text="---\nlicense: mit\n---\n## Model details\n\n" + "word " * 20)
    html = page(client, card.get_absolute_url() + "outline/")
    assert "4 of 39 points" in html
    assert f'<a href="{card.get_absolute_url()}#card-model-details">Model details</a>' in html
    assert "An average hides for whom it works badly." in html
    assert "4 of 39 points" in page(client, card.get_absolute_url())
    assert client.post(card.get_absolute_url() + "outline/").status_code == 405
    type(card).objects.update(is_published=False)
    for browser in (client, alice_client):
        assert browser.get(card.get_absolute_url() + "outline/").status_code == 404
        assert browser.get(card.get_absolute_url() + "thumbnail").status_code == 404


def test_the_preview_gives_advice_and_the_measure_and_the_help_lists_every_field(maintainer_client: Client) -> None:
    card = make_card(text="# x\n")
    posted: dict[str, Any] = {"text": "---\nlicense: my-own\n---\n# x\n", "based_on": 1, "action": "preview"}
    html = maintainer_client.post(card.get_absolute_url() + "edit/", posted).content.decode()
    assert "“my-own” is no identifier that model hubs know" in html
    assert "1 of 39 points" in html
    for field in ("co2_eq_emissions", "extra_gated_fields", "new_version", "training"):
        assert f"<code>{field}</code>" in html
