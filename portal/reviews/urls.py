"""Addresses of the review database."""

from django.urls import path

from portal.reviews.views import abuse, bulk, contributor, item, limitations, measures, queue

app_name = "reviews"
urlpatterns = [
    path("review/", queue.queue, name="queue"),
    path("review/next/", queue.next_item, name="next"),
    path("review/views/", queue.save_view, name="save_view"),
    path("review/views/<int:view_id>/delete/", queue.delete_view, name="delete_view"),
    path("review/guidelines/", queue.guidelines, name="guidelines"),
    path("review/overview/", measures.overview_page, name="overview"),
    path("review/overview.csv", measures.overview_file, name="overview_file"),
    path("review/agreement/", measures.agreement_page, name="agreement"),
    path("review/rules/", measures.rules_page, name="rules"),
    path("review/rules/waiting/", measures.apply_rules, name="apply_rules"),
    path("review/history/", measures.history, name="history"),
    path("review/abuse/", abuse.abuse, name="abuse"),
    path("review/abuse/blocks/<int:block_id>/lift/", abuse.lift, name="lift_block"),
    path("review/limitations/", limitations.limitation_list, name="limitations"),
    path("review/limitations/of-card/<int:card_id>/", limitations.propose, name="propose"),
    path("limitations/<uuid:limitation_id>/", limitations.limitation, name="limitation"),
    path("limitations/<uuid:limitation_id>/me-too/", limitations.me_too, name="me_too"),
    path("limitations/<uuid:limitation_id>/change/", limitations.change, name="change_limitation"),
    path("limitations/<uuid:limitation_id>/replay/", limitations.replay, name="replay"),
    path("limitations/replays/<uuid:replay_id>/again/", limitations.replay_again, name="replay_again"),
    path("limitations/replayed/<int:run_id>/", limitations.judge_run, name="judge_run"),
    path("limitations/of-card/<int:card_id>/", limitations.card_limitations, name="card_limitations"),
    path("contributions/questions/", contributor.questions, name="questions"),
    path("contributions/mail/", contributor.mail, name="mail"),
    path("contributions/mail/<str:token>/", contributor.no_mail, name="no_mail"),
    path("contributions/questions/<int:inquiry_id>/", contributor.answer, name="answer"),
    path("review/bulk/", bulk.bulk, name="bulk"),
    path("review/items/<int:item_id>/", item.item, name="item"),
    path("review/items/<int:item_id>/inside/<int:place>/", item.inside, name="inside"),
    path("review/items/<int:item_id>/claim/", item.claim, name="claim"),
    path("review/items/<int:item_id>/skip/", item.skip, name="skip"),
    path("review/items/<int:item_id>/renew/", item.renew, name="renew"),
    path("review/items/<int:item_id>/verdict/", item.verdict, name="verdict"),
    path("review/items/<int:item_id>/reopen/", item.reopen, name="reopen"),
    path("review/items/<int:item_id>/gold/", item.gold, name="gold"),
    path("review/verdicts/<int:review_id>/undo/", item.undo, name="undo"),
]
