"""Addresses of the operations app. `/healthz` and `/readyz` are answered earlier, by probes.ProbeMiddleware."""

from django.urls import path

from portal.operations import views

app_name = "operations"
urlpatterns = [
    path("status/", views.status, name="status"),
    path("favicon.ico", views.favicon, name="favicon"),
]
