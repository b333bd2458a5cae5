"""Addresses of the catalog app."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from portal.catalog import follow_views, gate_views, import_views, revision_views, views, weight_views
from portal.catalog.models import NAME_PATTERN


class CardNameConverter(StringConverter):
    """What may be an owner or a card; anything else is no address of ours."""

    regex = NAME_PATTERN


register_converter(CardNameConverter, "card_name")

CARD = "models/<card_name:owner_name>/<card_name:slug>/"

app_name = "catalog"
urlpatterns = [
    path("", views.card_list, name="list"),
    path("imports/", import_views.imports, name="imports"),
    path("imports/<int:pk>/", import_views.one_import, name="import"),
    path("imports/<int:pk>/cancel/", import_views.cancel_import, name="cancel-import"),
    path(CARD, views.card, name="card"),
    path(CARD + "README.md", views.readme, name="readme"),
    path(CARD + "thumbnail", views.thumbnail, name="thumbnail"),
    path(CARD + "outline/", views.outline, name="outline"),
    path(CARD + "lineage/", views.lineage, name="lineage"),
    path(CARD + "measure/", weight_views.measure_card, name="measure"),
    path(
        CARD + "<card_name:variant_slug>/tensors/",
        views.tensors,
        name="tensors",
    ),
    path(
        CARD + "<card_name:variant_slug>/tensors.json",
        views.tensors_json,
        name="tensors-json",
    ),
    path("feed.atom", follow_views.all_cards_feed, name="feed"),
    path("following/", follow_views.following, name="following"),
    path("unsubscribe/<str:token>/", follow_views.unsubscribe, name="unsubscribe"),
    path(CARD + "feed.atom", follow_views.card_feed, name="card-feed"),
    path(CARD + "follow/", follow_views.follow, name="follow"),
    path(CARD + "access/", gate_views.access, name="access"),
    path(CARD + "access/requests/", gate_views.access_requests, name="access-requests"),
    path(CARD + "access/requests/<int:request_id>/", gate_views.answer, name="access-answer"),
    path(CARD + "access/grant/", gate_views.grant, name="access-grant"),
    path(CARD + "access/gate/", gate_views.gate, name="access-gate"),
    path(CARD + "<card_name:variant_slug>/facts/", weight_views.facts, name="facts"),
    path(CARD + "<card_name:variant_slug>/use/", weight_views.use, name="use"),
    path(CARD + "<card_name:variant_slug>/tensor/", weight_views.tensor, name="tensor"),
    path(CARD + "<card_name:variant_slug>/differences/", weight_views.compare_variants, name="compare-variants"),
    path(CARD + "edit/", revision_views.edit, name="edit"),
    path(CARD + "edit/draft/", revision_views.draft, name="draft"),
    path(CARD + "edit/discard/", revision_views.discard, name="discard"),
    path(CARD + "revisions/", revision_views.revisions, name="revisions"),
    path(CARD + "revisions/compare/", revision_views.compare, name="compare"),
    path(CARD + "revisions/<int:number>/", revision_views.revision, name="revision"),
    path(CARD + "revisions/<int:number>/README.md", revision_views.revision_readme, name="revision-readme"),
    path(CARD + "revisions/<int:number>/restore/", revision_views.restore, name="restore"),
]
