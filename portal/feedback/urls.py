"""Addresses of the feedback app."""

from django.urls import path

from portal.feedback import views

app_name = "feedback"
urlpatterns = [
    path("feedback/g/<uuid:generation_id>/", views.panel, name="panel"),
    path("feedback/g/<uuid:generation_id>/withdraw/", views.withdraw, name="withdraw"),
    path("contributions/", views.contribution_list, name="contributions"),
]
