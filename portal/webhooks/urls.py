"""Addresses of the webhooks' pages."""

from django.urls import path

from portal.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("webhooks/", views.overview, name="overview"),
    path("webhooks/<uuid:endpoint_id>/", views.endpoint, name="endpoint"),
    path("webhooks/<uuid:endpoint_id>/ping/", views.send_ping, name="ping"),
    path("webhooks/<uuid:endpoint_id>/enabled/", views.set_enabled, name="set-enabled"),
    path("webhooks/<uuid:endpoint_id>/secret/", views.new_secret, name="new-secret"),
    path("webhooks/<uuid:endpoint_id>/delete/", views.delete, name="delete"),
    path("webhooks/<uuid:endpoint_id>/messages/<slug:message_id>/again/", views.send_again, name="send-again"),
]
