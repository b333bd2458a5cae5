"""Addresses of comparisons, battles and the leaderboard."""

from django.urls import path

from portal.arena.models import Kind
from portal.arena.views import battle, compare, leaderboard, turns, withdrawing
from portal.arena.views.blind_events import blind_events

app_name = "arena"
_COMPARISON = {"kind": Kind.SIDE_BY_SIDE}
_BATTLE = {"kind": Kind.BATTLE}
urlpatterns = [
    path("compare/", compare.new, name="compare"),
    path("compare/<uuid:contest_id>/", compare.side_by_side, name="side_by_side"),
    path("compare/<uuid:contest_id>/stop/", turns.stop, _COMPARISON, name="side_by_side_stop"),
    path("compare/<uuid:contest_id>/vote/", compare.vote, name="side_by_side_vote"),
    path("compare/<uuid:contest_id>/<int:turn>/<slug:letter>/", compare.reply, name="side_by_side_reply"),
    path(
        "compare/<uuid:contest_id>/<int:turn>/<slug:letter>/retry/", turns.retry, _COMPARISON, name="side_by_side_retry"
    ),
    path("arena/", battle.new, name="arena"),
    path("arena/<uuid:contest_id>/", battle.battle, name="battle"),
    path("arena/<uuid:contest_id>/events/", blind_events, name="battle_events"),
    path("arena/<uuid:contest_id>/stop/", turns.stop, _BATTLE, name="battle_stop"),
    path("arena/<uuid:contest_id>/vote/", battle.vote, name="battle_vote"),
    path("arena/<uuid:contest_id>/<int:turn>/<slug:letter>/retry/", turns.retry, _BATTLE, name="battle_retry"),
    path("votes/<uuid:contest_id>/<int:turn>/withdraw/", withdrawing.withdraw, name="withdraw_vote"),
    path("leaderboard/", leaderboard.leaderboard, name="leaderboard"),
    path("leaderboard/method/", leaderboard.method, name="method"),
    path("leaderboard/votes.<slug:extension>", leaderboard.votes, name="votes"),
]
