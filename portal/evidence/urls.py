"""Addresses of the evidence on cards."""

from django.urls import path

from portal.catalog.urls import CARD
from portal.evidence import views

app_name = "evidence"
urlpatterns = [
    path(CARD + "evidence/", views.card_evidence, name="card"),
    path(CARD + "evidence/README.md", views.card_file, name="card-file"),
]
