"""The review database in the admin: browsed and filtered, never edited; of withdrawn judgements the bare fact."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from portal.catalog.admin_list import BoundedPaginator, is_uuid
from portal.feedback import answer_quality
from portal.feedback.admin_list import JudgedCardFilter, JudgedVariantFilter, RatingFilter, ThumbFilter, WithdrawnFilter
from portal.feedback.models import Answer, Campaign, CampaignDraft, ChosenQuote, Question, Questionnaire, Submission
from portal.feedback.queries import with_answers
from portal.feedback.withdrawing import withdraw_as_operator


class AnswerInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Answer
    fields = readonly_fields = ("question", "value")
    can_delete = False
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Answer]:
        return super().get_queryset(request).select_related("question")

    def has_add_permission(self, request: HttpRequest, obj: Submission | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Answer | None = None) -> bool:
        return False


@admin.register(Submission)
class SubmissionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "created_at",
        "thumb",
        "rating",
        "comment",
        "judged_model",
        "contributor",
        "review_state",
        "changed_at",
        "withdrawn_at",
    )
    list_filter = (
        "target",
        "review_state",
        ThumbFilter,
        RatingFilter,
        JudgedCardFilter,
        JudgedVariantFilter,
        "created_at",
        WithdrawnFilter,
    )
    list_per_page = 50
    show_full_result_count = False
    # Counting each filter's rows would read them all.
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    # Shows the search box; get_search_results says what is searched.
    search_fields = ("id",)
    search_help_text = _(
        "Comment, prompt or contributor's user name of a live judgement contains this; or the id of a judgement or run."
    )
    ordering = ("-created_at", "-id")
    inlines = (AnswerInline,)
    fieldsets = (
        (
            None,
            {"fields": ("id", "questionnaire", "version", "contributor", "created_at", "changed_at", "withdrawn_at")},
        ),
        (_("Rights"), {"fields": ("consent", "licence", "language", "shown")}),
        (_("Review"), {"fields": ("review_state", "review_reason", "review_changed_at")}),
        (_("What was judged"), {"fields": ("judged_model", "run", "prompt", "answer")}),
    )
    readonly_fields = ("contributor", "judged_model", "run", "prompt", "answer")
    actions = ("withdraw",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        runs = (
            super()
            .get_queryset(request)
            .select_related("owner", "questionnaire", "generation", "campaign", "variant__card", "card")
        )
        unused = ("messages", "rendered_prompt", "thinking", "params", "usage", "timings", "provenance")
        return with_answers(runs.defer(*(f"generation__{column}" for column in unused)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Submission], search_term: str
    ) -> tuple[QuerySet[Submission], bool]:
        """An id is looked up; words are searched by EXISTS, which unlike the default's join needs no DISTINCT."""
        term = search_term.strip().replace("\x00", "")
        if not term:
            return queryset, False
        if is_uuid(term):
            return queryset.filter(Q(pk=term) | Q(generation_id=term)), False
        comments = Answer.objects.filter(submission=OuterRef("pk"), text__icontains=term)
        found = Exists(comments) | Q(generation__prompt__icontains=term) | Q(owner__username__icontains=term)
        # What a tombstone does not show is not found either.
        return queryset.filter(found, withdrawn_at=None), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.change_submission")

    def has_change_permission(self, request: HttpRequest, obj: Submission | None = None) -> bool:
        return False

    @admin.action(description=_("Withdraw: delete the answers, leave tombstones"), permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Submission]) -> None:
        count = sum(withdraw_as_operator(key) for key in queryset.values_list("pk", flat=True))
        for submission in queryset:
            self.log_change(request, submission, "Withdrawn.")
        done = ngettext("%d judgement was withdrawn.", "%d judgements were withdrawn.", count) % count
        self.message_user(request, done, messages.SUCCESS)

    @admin.display(description=_("thumb"))
    def thumb(self, submission: Submission) -> str:
        return _answer_text(submission, answer_quality.THUMB_KEY)

    @admin.display(description=_("rating"))
    def rating(self, submission: Submission) -> str:
        return _answer_text(submission, answer_quality.HELPFULNESS_KEY)

    @admin.display(description=_("comment"))
    def comment(self, submission: Submission) -> str:
        text = _answer_text(submission, answer_quality.COMMENT_KEY)
        return text if len(text) <= 80 else f"{text[:79]}…"

    @admin.display(description=_("model"))
    def judged_model(self, submission: Submission) -> str:
        return submission.variant.model_id if submission.variant else str(submission.card or submission.campaign)

    @admin.display(description=_("contributor"))
    def contributor(self, submission: Submission) -> str:
        if submission.is_withdrawn:
            return ""
        if submission.owner is not None:
            return submission.owner.get_username()
        return f"visitor {str(submission.visitor)[:8]}" if submission.visitor else ""

    @admin.display(description=_("run"))
    def run(self, submission: Submission) -> str:
        return str(submission.generation_id or "")

    @admin.display(description=_("prompt"))
    def prompt(self, submission: Submission) -> str:
        run = submission.generation
        return "" if submission.is_withdrawn or run is None else run.prompt

    @admin.display(description=_("answer"))
    def answer(self, submission: Submission) -> str:
        run = submission.generation
        return "" if submission.is_withdrawn or run is None else run.output


class QuestionInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Question
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_open(obj)

    def has_add_permission(self, request: HttpRequest, obj: Questionnaire | None = None) -> bool:
        return super().has_add_permission(request, obj) and _is_open(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_open(obj)


@admin.register(Questionnaire)
class QuestionnaireAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A published version can be looked at, and nothing more; drafts are published on their own pages."""

    list_display = ("slug", "version", "title", "is_current", "created_at")
    list_filter = ("is_current", "on_answers", "on_comparisons", "on_cards")
    search_fields = ("slug", "title")
    show_full_result_count = False
    readonly_fields = ("is_current", "published_at", "author")
    inlines = (QuestionInline,)

    def has_change_permission(self, request: HttpRequest, obj: Questionnaire | None = None) -> bool:
        return super().has_change_permission(request, obj) and _is_open(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Questionnaire | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_open(obj)


class LookedAtAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Made and changed elsewhere, by services that keep the rules.

    Deleting is left to the roles: forbidden here, it would forbid to delete what they belong to.
    """

    show_full_result_count = False
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CampaignDraft)
class CampaignDraftAdmin(LookedAtAdmin):
    """That somebody is writing; what they write is theirs until they send it."""

    list_display = ("campaign", "saved_at")
    list_filter = ("campaign",)
    list_select_related = ("campaign",)
    fields = ("campaign", "saved_at")
    ordering = ("-saved_at", "-pk")


@admin.register(ChosenQuote)
class ChosenQuoteAdmin(LookedAtAdmin):
    """Chosen on the campaign's own page."""

    list_display = ("campaign", "text", "chosen_by", "chosen_at")
    list_filter = ("campaign",)
    list_select_related = ("campaign", "answer", "chosen_by")
    fields = ("campaign", "text", "chosen_by", "chosen_at")
    readonly_fields = ("text",)
    ordering = ("-chosen_at", "-pk")

    @admin.display(description=_("quote"))
    def text(self, quote: ChosenQuote) -> str:
        return quote.answer.text


@admin.register(Campaign)
class CampaignAdmin(LookedAtAdmin):
    """Made and changed on the campaigns' own pages, which guard against lost updates."""

    list_display = ("slug", "title", "questionnaire", "opens_at", "closes_at", "goal", "is_published")
    list_filter = ("is_published",)
    list_select_related = ("questionnaire",)
    search_fields = ("slug", "title")

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        return False


def _is_open(questionnaire: Questionnaire | None) -> bool:
    return questionnaire is None or questionnaire.is_draft


def _answer_text(submission: Submission, key: str) -> str:
    return str(submission.values().get(key, ""))
