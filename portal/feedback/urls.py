"""Addresses of the feedback app."""

from django.urls import path

from portal.feedback import (
    campaign_editor_views,
    campaign_views,
    closer_views,
    contribution_views,
    questionnaire_views,
    report_views,
    views,
    vote_views,
)

app_name = "feedback"
urlpatterns = [
    path("feedback/", campaign_views.campaign_list, name="campaigns"),
    path("feedback/campaigns/new/", campaign_editor_views.new_campaign, name="new_campaign"),
    path("feedback/campaigns/<slug:slug>/", campaign_views.campaign, name="campaign"),
    path("feedback/campaigns/<slug:slug>/answer/", campaign_views.answer, name="campaign_answer"),
    path("feedback/campaigns/<slug:slug>/thanks/", campaign_views.thanks, name="thanks"),
    path("feedback/campaigns/<slug:slug>/results/", campaign_views.results, name="results"),
    path("feedback/campaigns/<slug:slug>/embedded/", campaign_views.embedded, name="embedded"),
    path("feedback/campaigns/<slug:slug>/qr.svg", campaign_views.qr_code, name="qr_code"),
    path("feedback/campaigns/<slug:slug>/edit/", campaign_editor_views.edit_campaign, name="edit_campaign"),
    path("feedback/campaigns/<slug:slug>/quotes/", campaign_editor_views.quotes, name="quotes"),
    path("feedback/g/<uuid:generation_id>/", views.panel, name="panel"),
    path("feedback/g/<uuid:generation_id>/withdraw/", views.withdraw, name="withdraw"),
    path("feedback/g/<uuid:generation_id>/closer/", closer_views.closer, name="closer"),
    path("feedback/g/<uuid:generation_id>/difference/", closer_views.difference, name="difference"),
    path("feedback/g/<uuid:generation_id>/tokens/<int:index>/", closer_views.token, name="token"),
    path("feedback/g/<uuid:generation_id>/better/", report_views.choose_version, name="token_choice"),
    path("feedback/questionnaires/", questionnaire_views.questionnaire_list, name="questionnaires"),
    path("feedback/questionnaires/new/", questionnaire_views.new_questionnaire, name="new_questionnaire"),
    path("feedback/questionnaires/<slug:slug>/<int:version>/", questionnaire_views.questionnaire, name="questionnaire"),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/draft/",
        questionnaire_views.draft,
        name="questionnaire_draft",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/settings/",
        questionnaire_views.settings_of,
        name="questionnaire_settings",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/publish/",
        questionnaire_views.publish,
        name="publish_questionnaire",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/discard/",
        questionnaire_views.discard,
        name="discard_questionnaire",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/questions/",
        questionnaire_views.add_question,
        name="add_question",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/questions/<slug:key>/",
        questionnaire_views.question,
        name="question",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/questions/<slug:key>/move/",
        questionnaire_views.move,
        name="move_question",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/questions/<slug:key>/remove/",
        questionnaire_views.remove,
        name="remove_question",
    ),
    path(
        "feedback/questionnaires/<slug:slug>/<int:version>/translations/<slug:language>/",
        questionnaire_views.translations,
        name="questionnaire_translations",
    ),
    path("feedback/g/<uuid:generation_id>/report/<slug:slug>/", report_views.report_answer, name="report_answer"),
    path(
        "feedback/comparisons/<uuid:comparison_id>/",
        report_views.comparison_questionnaires,
        name="comparison_questionnaires",
    ),
    path(
        "feedback/comparisons/<uuid:comparison_id>/<slug:slug>/",
        report_views.report_comparison,
        name="report_comparison",
    ),
    path(
        "feedback/cards/<str:owner_name>/<str:card_slug>/", report_views.card_questionnaires, name="card_questionnaires"
    ),
    path("feedback/cards/<str:owner_name>/<str:card_slug>/<slug:slug>/", report_views.report_card, name="report_card"),
    path("contributions/votes/", vote_views.vote_list, name="vote_contributions"),
    path("contributions/votes/<uuid:vote_id>/withdraw/", vote_views.withdraw, name="withdraw_vote"),
    path("contributions/", contribution_views.contribution_list, name="contributions"),
    path("contributions/download/", contribution_views.download, name="download_contributions"),
    path("contributions/delete/", contribution_views.delete_all, name="delete_contributions"),
    path("contributions/<uuid:submission_id>/", contribution_views.find_one, name="contribution"),
    path("contributions/<uuid:submission_id>/withdraw/", contribution_views.withdraw_one, name="withdraw_contribution"),
]
