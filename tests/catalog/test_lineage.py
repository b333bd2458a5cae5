"""A model's family from what cards state and variants are: bases, siblings, descendants, circles, large families."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.catalog.lineage import MAX_OF_A_LEVEL, Lineage, trace_lineage
from portal.catalog.lineage_drawing import HEIGHT, WIDTH, draw_lineage
from portal.catalog.models import ModelCard
from tests.catalog.shelf import make_card, make_variant

pytestmark = pytest.mark.django_db


def card(slug: str, *bases: str, relation: str = "finetune", **fields: object) -> ModelCard:
    stated = f"base_model: [{', '.join(bases)}]\nbase_model_relation: {relation}\n" if bases else "license: mit\n"
    return make_card(slug, text=f"---\n{stated}---\n", title=slug.title(), **fields)


def levels(lineage: Lineage) -> dict[int, list[str]]:
    return {level: [node.title for node in nodes] for level, nodes in lineage.levels}


def family(of: ModelCard, **kwargs: bool) -> Lineage:
    return trace_lineage(of, include_unpublished=kwargs.get("include_unpublished", False))


def test_bases_siblings_descendants_and_variants_are_a_graph() -> None:
    card("grandparent")
    card("parent", "acme/grandparent")
    own = card("own", "acme/parent", "elsewhere/teacher", relation="merge")
    card("sibling", "acme/parent", relation="quantized")
    card("child", "acme/own", relation="adapter")
    card("stranger")
    first = make_variant(own, "bf16", relation="")
    make_variant(own, "lora", relation="finetune", base=first)
    lineage = family(own)
    assert levels(lineage) == {
        -2: ["Grandparent"],
        -1: ["Parent", "elsewhere/teacher"],
        0: ["Own", "Sibling"],
        1: ["Child", "bf16"],
        2: ["lora"],
    }
    assert {(edge.source, edge.target, edge.relation) for edge in lineage.edges.values()} == {
        ("acme/grandparent", "acme/parent", "finetune"),
        ("acme/parent", "acme/own", "merge"),
        ("elsewhere/teacher", "acme/own", "merge"),
        ("acme/parent", "acme/sibling", "quantized"),
        ("acme/own", "acme/child", "adapter"),
        ("acme/own", f"variant {first.pk}", ""),
        (f"variant {first.pk}", f"variant {first.pk + 1}", "finetune"),
    }
    outside = lineage.nodes["elsewhere/teacher"]
    assert (outside.kind, outside.address) == ("outside", "https://huggingface.co/elsewhere/teacher")


def test_a_circle_is_followed_once_and_named() -> None:
    one = card("one", "acme/two")
    card("two", "acme/one")
    card("selfish", "acme/selfish")
    assert [(edge.source, edge.target) for edge in family(one).circles] == [("acme/one", "acme/two")]
    selfish = family(ModelCard.objects.get(slug="selfish"))
    assert [(edge.source, edge.target) for edge in selfish.circles] == [("acme/selfish", "acme/selfish")]
    assert draw_lineage(selfish).curves[0].leads_back


def test_a_large_family_is_bounded_counted_and_takes_as_many_queries_as_a_small_one(client: Client) -> None:
    base = card("base")
    card("first", "acme/base")
    with CaptureQueriesContext(connection) as few:
        family(base)
    for number in range(MAX_OF_A_LEVEL + 4):
        card(f"tune-{number:02}", "acme/base")
    with CaptureQueriesContext(connection) as many:
        lineage = family(base)
    assert len(many) == len(few)
    assert (len(levels(lineage)[1]), lineage.left_out) == (MAX_OF_A_LEVEL, {1: 5})
    assert "and 5 more" in client.get(base.get_absolute_url() + "lineage/").content.decode()


def test_unpublished_cards_are_in_nobodys_family_but_maintainers(client: Client, maintainer_client: Client) -> None:
    base = card("base")
    secret = card("secret", "acme/base", is_published=False)
    child = card("child", "acme/secret")
    for address in (base.get_absolute_url(), child.get_absolute_url()):
        html = client.get(address + "lineage/").content.decode()
        assert f'href="{secret.get_absolute_url()}"' not in html
        assert f'href="{secret.get_absolute_url()}"' in maintainer_client.get(address + "lineage/").content.decode()
    assert client.get(secret.get_absolute_url() + "lineage/").status_code == 404
    assert client.post(base.get_absolute_url() + "lineage/").status_code == 405


def test_a_variant_made_from_an_unpublished_cards_weights_does_not_name_that_card(
    client: Client, maintainer_client: Client
) -> None:
    secret = card("secret", is_published=False)
    own = card("own")
    make_variant(own, "adapter", base=make_variant(secret, "bf16"), relation="adapter")
    address = own.get_absolute_url() + "lineage/"
    assert "secret" not in client.get(address).content.decode()
    assert f'href="{secret.get_absolute_url()}"' in maintainer_client.get(address).content.decode()


def test_hostile_names_are_text_and_no_links(client: Client) -> None:
    hostile = make_card(text="---\nbase_model: ['javascript:alert(1)', '<script>x</script>', '../../etc']\n---\n")
    html = client.get(hostile.get_absolute_url() + "lineage/").content.decode().split('<main id="main"')[1]
    assert "<script>x" not in html
    assert 'href="javascript' not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html


def test_boxes_do_not_overlap_and_stay_on_the_sheet() -> None:
    own = card("own", "acme/a", "acme/b", "acme/c")
    for number in range(5):
        make_variant(own, f"v{number}")
    drawing = draw_lineage(family(own))
    for index, box in enumerate(drawing.boxes):
        assert 0 <= box.x <= drawing.width - WIDTH
        assert 0 <= box.y <= drawing.height - HEIGHT
        for other in drawing.boxes[index + 1 :]:
            assert abs(box.x - other.x) >= WIDTH or abs(box.y - other.y) >= HEIGHT


def test_the_index_follows_the_text() -> None:
    from portal.catalog.services import publish_revision

    own = card("own", "acme/a", "acme/b")
    assert set(own.bases.values_list("name", "relation")) == {("acme/a", "finetune"), ("acme/b", "finetune")}
    publish_revision(own, "---\nbase_model: acme/b\nbase_model_relation: merge\n---\n", None)
    assert set(own.bases.values_list("name", "relation")) == {("acme/b", "merge")}


def test_a_card_without_family_says_what_would_be_here(client: Client) -> None:
    assert (
        "Nothing is known of its family" in client.get(card("alone").get_absolute_url() + "lineage/").content.decode()
    )
