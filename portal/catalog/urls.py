"""Addresses of the catalog app."""

from django.urls import path

from portal.catalog import views

app_name = "catalog"
urlpatterns = [
    path("", views.card_list, name="list"),
    path("models/<str:owner_name>/<str:slug>/", views.card, name="card"),
    path("models/<str:owner_name>/<str:slug>/README.md", views.readme, name="readme"),
]
