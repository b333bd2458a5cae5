"""Addresses of comparisons, battles and the leaderboard."""

from django.urls import path

from portal.arena import battle_views, compare_views, leaderboard_views
from portal.arena.blind_events_view import blind_events

app_name = "arena"
urlpatterns = [
    path("compare/", compare_views.new, name="compare"),
    path("compare/<uuid:contest_id>/", compare_views.side_by_side, name="side_by_side"),
    path("compare/<uuid:contest_id>/stop/", compare_views.stop, name="side_by_side_stop"),
    path("compare/<uuid:contest_id>/vote/", compare_views.vote, name="side_by_side_vote"),
    path("compare/<uuid:contest_id>/<int:turn>/<slug:letter>/", compare_views.reply, name="side_by_side_reply"),
    path("compare/<uuid:contest_id>/<int:turn>/<slug:letter>/retry/", compare_views.retry, name="side_by_side_retry"),
    path("arena/", battle_views.new, name="arena"),
    path("arena/<uuid:contest_id>/", battle_views.battle, name="battle"),
    path("arena/<uuid:contest_id>/events/", blind_events, name="battle_events"),
    path("arena/<uuid:contest_id>/stop/", battle_views.stop, name="battle_stop"),
    path("arena/<uuid:contest_id>/vote/", battle_views.vote, name="battle_vote"),
    path("arena/<uuid:contest_id>/<int:turn>/<slug:letter>/retry/", battle_views.retry, name="battle_retry"),
    path("leaderboard/", leaderboard_views.leaderboard, name="leaderboard"),
    path("leaderboard/method/", leaderboard_views.method, name="method"),
    path("leaderboard/votes.<slug:extension>", leaderboard_views.votes, name="votes"),
]
