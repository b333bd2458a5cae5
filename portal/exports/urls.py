"""Addresses of the exports' pages."""

from django.urls import path

from portal.exports import views

app_name = "exports"
urlpatterns = [
    path("exports/", views.overview, name="overview"),
    path("exports/tables/<slug:name>/", views.table, name="table"),
    path("exports/downloads/<uuid:key>/", views.download, name="download"),
    path("exports/snapshots/new/", views.new_snapshot, name="new-snapshot"),
    path("exports/snapshots/<int:pk>/", views.snapshot, name="snapshot"),
    path("exports/snapshots/<int:pk>/cancel/", views.cancel_snapshot, name="cancel-snapshot"),
    path("exports/snapshots/<int:pk>/again/", views.remake_snapshot, name="remake-snapshot"),
    path("exports/snapshots/<int:pk>/compare/", views.compare_snapshots, name="compare-snapshots"),
    path("exports/snapshots/<int:pk>/tombstones.jsonl", views.tombstones, name="tombstones"),
    path("exports/snapshots/<int:pk>/files/<path:path>", views.snapshot_file, name="snapshot-file"),
]
