"""Addresses of the API and of its documentation."""

from django.urls import path, re_path, register_converter
from django.urls.converters import UUIDConverter

from portal.api.campaign_views import CampaignDetail, CampaignList, CampaignResultsView
from portal.api.card_facts_view import CardFacts
from portal.api.card_history_views import CardComparison, RevisionDetail, RevisionList, RevisionReadme
from portal.api.catalog_views import CardDetail, CardList, VariantList
from portal.api.change_views import ChangeList
from portal.api.contests.battle_views import (
    BattleDetail,
    BattleEvents,
    BattleList,
    BattleStop,
    BattleTurns,
    BattleVote,
)
from portal.api.contests.comparison_views import (
    ComparisonDetail,
    ComparisonList,
    ComparisonStop,
    ComparisonTurns,
    ComparisonVote,
)
from portal.api.contribution_views import ContributionList
from portal.api.docs_views import RedocView, SchemaView, SwaggerView, problem_list, unknown_address
from portal.api.export_views import ExportDetail, ExportList
from portal.api.feedback_views import FeedbackDetail, FeedbackList
from portal.api.gold_views import GoldList, GoldMarking
from portal.api.inquiry_views import InquiryAnswering, InquiryList
from portal.api.leaderboard_view import LeaderboardView
from portal.api.limitation_reports_view import LimitationReportList
from portal.api.limitation_views import CardLimitations, LimitationDetail, LimitationList, MeTooView
from portal.api.me_view import Me
from portal.api.question_views import QuestionAdding, QuestionChanging, QuestionMoving, Translations
from portal.api.questionnaire_views import NextDraft, Publication, QuestionnaireDetail, QuestionnaireList
from portal.api.quote_views import QuoteDetail, QuoteList
from portal.api.replay_views import ReplayAgain, ReplayDetail, ReplayList, ReplayRunDetail
from portal.api.review_bulk_views import BulkQuarantine, BulkVerdicts
from portal.api.review_views import ItemClaim, ItemDetail, ItemList, ItemReopening, NextClaim
from portal.api.runs.conversation_views import ConversationDetail, ConversationList, ConversationRestore
from portal.api.runs.generation_views import (
    GenerationAgain,
    GenerationBranch,
    GenerationCancel,
    GenerationDetail,
    GenerationList,
    GenerationRerun,
)
from portal.api.runs.trace_views import GenerationEvents, GenerationTrace
from portal.api.snapshot_build_views import (
    SnapshotBuildAgain,
    SnapshotBuildCancel,
    SnapshotBuildDetail,
    SnapshotBuildList,
)
from portal.api.snapshot_views import SnapshotDetail, SnapshotFile, SnapshotList, SnapshotTombstones
from portal.api.submission_views import SubmissionCheck, SubmissionDetail, SubmissionList
from portal.api.verdict_views import AgreementView, VerdictDetail, VerdictGiving, VerdictUndoing
from portal.api.webhooks.delivery_views import WebhookDeliveries, WebhookPing, WebhookRedelivery
from portal.api.webhooks.endpoint_views import WebhookDetail, WebhookList, WebhookSecret


class RunConverter(UUIDConverter):
    """A run's id, also as it stands behind the prefix of an id that `/v1` gave."""

    regex = "[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"


register_converter(RunConverter, "run")
QUESTIONNAIRE = "api/v1/questionnaires/<slug:slug>/<int:version>"

app_name = "api"
urlpatterns = [
    path("api/v1/feedback/", FeedbackList.as_view(), name="feedback-list"),
    path("api/v1/feedback/<uuid:submission_id>/", FeedbackDetail.as_view(), name="feedback-detail"),
    path("api/v1/me/", Me.as_view(), name="me"),
    path("api/v1/cards/", CardList.as_view(), name="card-list"),
    path("api/v1/cards/<str:owner_name>/<str:slug>/", CardDetail.as_view(), name="card-detail"),
    path("api/v1/cards/<str:owner_name>/<str:slug>/facts/", CardFacts.as_view(), name="card-facts"),
    path("api/v1/cards/<str:owner_name>/<str:slug>/comparison/", CardComparison.as_view(), name="card-comparison"),
    path("api/v1/cards/<str:owner_name>/<str:slug>/revisions/", RevisionList.as_view(), name="revision-list"),
    path(
        "api/v1/cards/<str:owner_name>/<str:slug>/revisions/<int:number>/",
        RevisionDetail.as_view(),
        name="revision-detail",
    ),
    path(
        "api/v1/cards/<str:owner_name>/<str:slug>/revisions/<int:number>/readme/",
        RevisionReadme.as_view(),
        name="revision-readme",
    ),
    path("api/v1/cards/<str:owner_name>/<str:slug>/limitations/", CardLimitations.as_view(), name="card-limitations"),
    path("api/v1/limitations/", LimitationList.as_view(), name="limitation-list"),
    path("api/v1/limitations/<uuid:limitation_id>/", LimitationDetail.as_view(), name="limitation-detail"),
    path("api/v1/limitations/<uuid:limitation_id>/reports/", LimitationReportList.as_view(), name="limitation-reports"),
    path("api/v1/limitations/<uuid:limitation_id>/me-too/", MeTooView.as_view(), name="limitation-me-too"),
    path("api/v1/limitations/<uuid:limitation_id>/replays/", ReplayList.as_view(), name="replay-list"),
    path("api/v1/replays/<uuid:replay_id>/", ReplayDetail.as_view(), name="replay-detail"),
    path("api/v1/replays/<uuid:replay_id>/again/", ReplayAgain.as_view(), name="replay-again"),
    path("api/v1/replays/runs/<int:run_id>/", ReplayRunDetail.as_view(), name="replay-run"),
    path("api/v1/me/contributions/", ContributionList.as_view(), name="contribution-list"),
    path("api/v1/me/questions/", InquiryList.as_view(), name="inquiry-list"),
    path("api/v1/me/questions/<int:inquiry_id>/answer/", InquiryAnswering.as_view(), name="inquiry-answer"),
    path("api/v1/review/items/", ItemList.as_view(), name="review-items"),
    path("api/v1/review/items/<int:item_id>/", ItemDetail.as_view(), name="review-item"),
    path("api/v1/review/items/<int:item_id>/claim/", ItemClaim.as_view(), name="review-claim"),
    path("api/v1/review/items/<int:item_id>/reopen/", ItemReopening.as_view(), name="review-reopen"),
    path("api/v1/review/items/<int:item_id>/gold/", GoldMarking.as_view(), name="review-gold-mark"),
    path("api/v1/review/items/<int:item_id>/verdicts/", VerdictGiving.as_view(), name="review-verdicts"),
    path("api/v1/review/gold/", GoldList.as_view(), name="review-gold"),
    path("api/v1/review/bulk/verdicts/", BulkVerdicts.as_view(), name="review-bulk-verdicts"),
    path("api/v1/review/bulk/quarantine/", BulkQuarantine.as_view(), name="review-bulk-quarantine"),
    path("api/v1/review/claims/", NextClaim.as_view(), name="review-next"),
    path("api/v1/review/verdicts/<int:verdict_id>/", VerdictDetail.as_view(), name="review-verdict"),
    path("api/v1/review/verdicts/<int:verdict_id>/undo/", VerdictUndoing.as_view(), name="review-undo"),
    path("api/v1/review/agreement/", AgreementView.as_view(), name="review-agreement"),
    path("api/v1/campaigns/", CampaignList.as_view(), name="campaign-list"),
    path("api/v1/campaigns/<slug:slug>/", CampaignDetail.as_view(), name="campaign-detail"),
    path("api/v1/campaigns/<slug:slug>/results/", CampaignResultsView.as_view(), name="campaign-results"),
    path("api/v1/campaigns/<slug:slug>/quotes/", QuoteList.as_view(), name="campaign-quotes"),
    path("api/v1/campaigns/<slug:slug>/quotes/<int:answer>/", QuoteDetail.as_view(), name="campaign-quote"),
    path("api/v1/questionnaires/", QuestionnaireList.as_view(), name="questionnaire-list"),
    path(f"{QUESTIONNAIRE}/", QuestionnaireDetail.as_view(), name="questionnaire-detail"),
    path(f"{QUESTIONNAIRE}/draft/", NextDraft.as_view(), name="questionnaire-draft"),
    path(f"{QUESTIONNAIRE}/publish/", Publication.as_view(), name="questionnaire-publish"),
    path(f"{QUESTIONNAIRE}/questions/", QuestionAdding.as_view(), name="question-list"),
    path(f"{QUESTIONNAIRE}/questions/<slug:key>/", QuestionChanging.as_view(), name="question-detail"),
    path(f"{QUESTIONNAIRE}/questions/<slug:key>/move/", QuestionMoving.as_view(), name="question-move"),
    path(f"{QUESTIONNAIRE}/translations/<slug:language>/", Translations.as_view(), name="questionnaire-translation"),
    path("api/v1/submissions/", SubmissionList.as_view(), name="submission-list"),
    path("api/v1/submissions/check/", SubmissionCheck.as_view(), name="submission-check"),
    path("api/v1/submissions/<uuid:submission_id>/", SubmissionDetail.as_view(), name="submission-detail"),
    path("api/v1/variants/", VariantList.as_view(), name="variant-list"),
    path("api/v1/leaderboard/", LeaderboardView.as_view(), name="leaderboard"),
    path("api/v1/exports/", ExportList.as_view(), name="export-list"),
    path("api/v1/exports/<slug:table>/", ExportDetail.as_view(), name="export-detail"),
    path("api/v1/changes/", ChangeList.as_view(), name="change-list"),
    path("api/v1/snapshots/", SnapshotList.as_view(), name="snapshot-list"),
    path("api/v1/snapshots/builds/", SnapshotBuildList.as_view(), name="snapshot-builds"),
    path("api/v1/snapshots/builds/<int:build_id>/", SnapshotBuildDetail.as_view(), name="snapshot-build"),
    path("api/v1/snapshots/builds/<int:build_id>/cancel/", SnapshotBuildCancel.as_view(), name="snapshot-build-cancel"),
    path("api/v1/snapshots/builds/<int:build_id>/again/", SnapshotBuildAgain.as_view(), name="snapshot-build-again"),
    path("api/v1/snapshots/<int:number>/", SnapshotDetail.as_view(), name="snapshot-detail"),
    path("api/v1/snapshots/<int:number>/files/<path:path>", SnapshotFile.as_view(), name="snapshot-file"),
    path("api/v1/snapshots/<int:number>/tombstones/", SnapshotTombstones.as_view(), name="snapshot-tombstones"),
    path("api/v1/webhooks/", WebhookList.as_view(), name="webhook-list"),
    path("api/v1/webhooks/<uuid:endpoint_id>/", WebhookDetail.as_view(), name="webhook-detail"),
    path("api/v1/webhooks/<uuid:endpoint_id>/secret/", WebhookSecret.as_view(), name="webhook-secret"),
    path("api/v1/webhooks/<uuid:endpoint_id>/ping/", WebhookPing.as_view(), name="webhook-ping"),
    path("api/v1/webhooks/<uuid:endpoint_id>/deliveries/", WebhookDeliveries.as_view(), name="webhook-deliveries"),
    path(
        "api/v1/webhooks/<uuid:endpoint_id>/deliveries/<slug:message_id>/redeliver/",
        WebhookRedelivery.as_view(),
        name="webhook-redelivery",
    ),
    path("api/v1/conversations/", ConversationList.as_view(), name="conversation-list"),
    path("api/v1/conversations/<uuid:conversation_id>/", ConversationDetail.as_view(), name="conversation-detail"),
    path(
        "api/v1/conversations/<uuid:conversation_id>/restore/",
        ConversationRestore.as_view(),
        name="conversation-restore",
    ),
    path("api/v1/generations/", GenerationList.as_view(), name="generation-list"),
    path("api/v1/generations/<run:generation_id>/", GenerationDetail.as_view(), name="generation-detail"),
    path("api/v1/generations/<run:generation_id>/events/", GenerationEvents.as_view(), name="generation-events"),
    path("api/v1/generations/<run:generation_id>/trace/", GenerationTrace.as_view(), name="generation-trace"),
    path("api/v1/generations/<run:generation_id>/cancel/", GenerationCancel.as_view(), name="generation-cancel"),
    path("api/v1/generations/<run:generation_id>/again/", GenerationAgain.as_view(), name="generation-again"),
    path("api/v1/generations/<run:generation_id>/rerun/", GenerationRerun.as_view(), name="generation-rerun"),
    path("api/v1/generations/<run:generation_id>/branch/", GenerationBranch.as_view(), name="generation-branch"),
    path("api/v1/comparisons/", ComparisonList.as_view(), name="comparison-list"),
    path("api/v1/comparisons/<uuid:contest_id>/", ComparisonDetail.as_view(), name="comparison-detail"),
    path("api/v1/comparisons/<uuid:contest_id>/turns/", ComparisonTurns.as_view(), name="comparison-turns"),
    path("api/v1/comparisons/<uuid:contest_id>/stop/", ComparisonStop.as_view(), name="comparison-stop"),
    path("api/v1/comparisons/<uuid:contest_id>/vote/", ComparisonVote.as_view(), name="comparison-vote"),
    path("api/v1/battles/", BattleList.as_view(), name="battle-list"),
    path("api/v1/battles/<uuid:contest_id>/", BattleDetail.as_view(), name="battle-detail"),
    path("api/v1/battles/<uuid:contest_id>/events/", BattleEvents.as_view(), name="battle-events"),
    path("api/v1/battles/<uuid:contest_id>/turns/", BattleTurns.as_view(), name="battle-turns"),
    path("api/v1/battles/<uuid:contest_id>/stop/", BattleStop.as_view(), name="battle-stop"),
    path("api/v1/battles/<uuid:contest_id>/vote/", BattleVote.as_view(), name="battle-vote"),
    path("api/v1/", unknown_address),
    # Not <path:…>, which ends at a line break.
    re_path(r"^api/v1/(?P<rest>(?s:.+))\Z", unknown_address),
    path("api/", unknown_address),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", SwaggerView.as_view(), name="docs"),
    path("api/redoc/", RedocView.as_view(), name="redoc"),
    path("api/problems/", problem_list, name="problems"),
]
