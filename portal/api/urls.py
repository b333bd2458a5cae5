"""Addresses of the API and of its documentation."""

from django.urls import include, path, re_path

from portal.api.catalog_views import CardDetail, CardList, VariantList
from portal.api.change_views import ChangeList
from portal.api.docs_views import RedocView, SchemaView, SwaggerView, problem_list, unknown_address
from portal.api.export_views import ExportDetail, ExportList
from portal.api.feedback_views import FeedbackDetail, FeedbackList
from portal.api.leaderboard_view import LeaderboardView
from portal.api.me_view import Me
from portal.api.snapshot_views import SnapshotDetail, SnapshotFile, SnapshotList, SnapshotTombstones

app_name = "api"
urlpatterns = [
    path("api/v1/feedback/", FeedbackList.as_view(), name="feedback-list"),
    path("api/v1/feedback/<uuid:submission_id>/", FeedbackDetail.as_view(), name="feedback-detail"),
    path("api/v1/me/", Me.as_view(), name="me"),
    path("api/v1/cards/", CardList.as_view(), name="card-list"),
    path("api/v1/cards/<str:owner_name>/<str:slug>/", CardDetail.as_view(), name="card-detail"),
    path("api/v1/variants/", VariantList.as_view(), name="variant-list"),
    path("api/v1/leaderboard/", LeaderboardView.as_view(), name="leaderboard"),
    path("api/v1/exports/", ExportList.as_view(), name="export-list"),
    path("api/v1/exports/<slug:table>/", ExportDetail.as_view(), name="export-detail"),
    path("api/v1/changes/", ChangeList.as_view(), name="change-list"),
    path("api/v1/snapshots/", SnapshotList.as_view(), name="snapshot-list"),
    path("api/v1/snapshots/<int:number>/", SnapshotDetail.as_view(), name="snapshot-detail"),
    path("api/v1/snapshots/<int:number>/files/<path:path>", SnapshotFile.as_view(), name="snapshot-file"),
    path("api/v1/snapshots/<int:number>/tombstones/", SnapshotTombstones.as_view(), name="snapshot-tombstones"),
    path("api/v1/", unknown_address),
    # Not <path:…>, which ends at a line break.
    re_path(r"^api/v1/(?P<rest>(?s:.+))\Z", unknown_address),
    path("api/", unknown_address),
    path("v1/", include("portal.api.openai.urls")),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", SwaggerView.as_view(), name="docs"),
    path("api/redoc/", RedocView.as_view(), name="redoc"),
    path("api/problems/", problem_list, name="problems"),
]
