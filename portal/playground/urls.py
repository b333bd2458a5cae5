"""Addresses of the playground app."""

from django.urls import path

from portal.playground import views
from portal.playground.events_view import events

app_name = "playground"
urlpatterns = [
    path("playground/", views.new, name="new"),
    path("playground/conversations/", views.conversations, name="conversations"),
    path("playground/c/<uuid:conversation_id>/", views.conversation, name="conversation"),
    path("playground/g/<uuid:generation_id>/", views.generation, name="generation"),
    path("playground/g/<uuid:generation_id>/events/", events, name="events"),
    path("playground/g/<uuid:generation_id>/cancel/", views.cancel, name="cancel"),
    path("playground/g/<uuid:generation_id>/retry/", views.retry, name="retry"),
]
