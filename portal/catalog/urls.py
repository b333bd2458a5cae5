"""Addresses of the catalog app."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from portal.catalog import views
from portal.catalog.models import NAME_PATTERN


class CardNameConverter(StringConverter):
    """What may be an owner or a card; anything else is no address of ours."""

    regex = NAME_PATTERN


register_converter(CardNameConverter, "card_name")

app_name = "catalog"
urlpatterns = [
    path("", views.card_list, name="list"),
    path("models/<card_name:owner_name>/<card_name:slug>/", views.card, name="card"),
    path("models/<card_name:owner_name>/<card_name:slug>/README.md", views.readme, name="readme"),
    path(
        "models/<card_name:owner_name>/<card_name:slug>/<card_name:variant_slug>/tensors/",
        views.tensors,
        name="tensors",
    ),
    path(
        "models/<card_name:owner_name>/<card_name:slug>/<card_name:variant_slug>/tensors.json",
        views.tensors_json,
        name="tensors-json",
    ),
]
