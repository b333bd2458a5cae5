"""Addresses of the operations app. `/healthz`, `/readyz`, and `/metrics` to its token, are answered earlier, by
probes.ProbeMiddleware."""

from django.urls import path

from portal.operations import views

app_name = "operations"
urlpatterns = [
    path("status/", views.status, name="status"),
    path("metrics", views.metrics, name="metrics"),
    path("favicon.ico", views.favicon, name="favicon"),
]
