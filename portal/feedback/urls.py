"""Addresses of the feedback app."""

from django.urls import path

from portal.feedback import closer_views, contribution_views, views

app_name = "feedback"
urlpatterns = [
    path("feedback/g/<uuid:generation_id>/", views.panel, name="panel"),
    path("feedback/g/<uuid:generation_id>/withdraw/", views.withdraw, name="withdraw"),
    path("feedback/g/<uuid:generation_id>/closer/", closer_views.closer, name="closer"),
    path("feedback/g/<uuid:generation_id>/difference/", closer_views.difference, name="difference"),
    path("feedback/g/<uuid:generation_id>/tokens/<int:index>/", closer_views.token, name="token"),
    path("contributions/", contribution_views.contribution_list, name="contributions"),
]
