"""Questionnaires and their questions. A published version is never rewritten; an edit makes the next one."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class Questionnaire(models.Model):
    """One version of a set of questions: a draft until it is published, and from then on what it is.

    `revision` rises with every change to the draft or its questions, so that a change based on an older one is refused.
    """

    slug = models.SlugField(_("name"), max_length=80)
    version = models.PositiveIntegerField(_("version"), default=1)
    revision = models.PositiveIntegerField(_("revision of the draft"), default=1, editable=False)
    title = models.CharField(_("title"), max_length=200)
    intro = models.TextField(_("introduction"), blank=True, help_text=_("Markdown."))
    # The language that titles and labels are written in; `translations` has the others.
    language = models.CharField(_("language"), max_length=12, default="en")
    translations = models.JSONField(_("translations"), default=dict, blank=True)
    # What it may be asked about. A campaign names its questionnaire itself.
    on_answers = models.BooleanField(_("asked about answers"), default=False)
    on_comparisons = models.BooleanField(_("asked about comparisons"), default=False)
    on_cards = models.BooleanField(_("asked about cards"), default=False)
    is_current = models.BooleanField(_("current"), default=False)
    published_at = models.DateTimeField(_("published"), null=True, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("questionnaire")
        verbose_name_plural = _("questionnaires")
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="questionnaire_version_unique"),
            models.UniqueConstraint(fields=["slug"], condition=Q(is_current=True), name="questionnaire_one_current"),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(published_at__isnull=True), name="questionnaire_one_draft"
            ),
            models.CheckConstraint(
                condition=Q(is_current=False) | Q(published_at__isnull=False), name="questionnaire_current_is_published"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slug} v{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("feedback:questionnaire", args=[self.slug, self.version])

    @property
    def is_draft(self) -> bool:
        return self.published_at is None

    def is_answered(self) -> bool:
        """Whether somebody answered this version, tombstones included."""
        return self.submissions.exists()

    def advance(self) -> bool:
        """The draft is about to change. False when it was changed or published since this object was read."""
        drafts = Questionnaire.objects.filter(pk=self.pk, revision=self.revision, published_at=None)
        if drafts.update(revision=F("revision") + 1) != 1:
            return False
        self.revision += 1
        return True

    def publish(self, at: datetime) -> bool:
        """The draft becomes what is asked from now on. Call inside a transaction. False as `advance`."""
        drafts = Questionnaire.objects.filter(pk=self.pk, revision=self.revision, published_at=None)
        if drafts.update(published_at=at) != 1:
            return False
        Questionnaire.objects.filter(slug=self.slug, is_current=True).update(is_current=False)
        Questionnaire.objects.filter(pk=self.pk).update(is_current=True)
        self.published_at, self.is_current = at, True
        return True


class QuestionKind(models.TextChoices):
    """How a question is answered. `question_kinds` says which options each takes and which form its value has."""

    THUMB = "thumb", _("Thumb")
    YES_NO = "yes_no", _("Yes or no")
    RATING = "rating", _("Rating")
    CHOICE = "choice", _("One of several")
    CHOICES = "choices", _("Multiple choice")
    RANKING = "ranking", _("Ranking")
    TEXT = "text", _("Free text")
    NUMBER = "number", _("Number")
    DATE = "date", _("Date")
    SPANS = "spans", _("Marks on the answer")
    CORRECTION = "correction", _("Corrected answer")
    TOKEN = "token", _("Better token")
    MATRIX = "matrix", _("Matrix")


class Question(models.Model):
    """One question. `options` holds what its kind needs; `show_if` = {"key": …, "equals": …} makes it conditional."""

    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.CASCADE, related_name="questions")
    key = models.SlugField(_("key"), max_length=60)
    kind = models.CharField(_("kind"), max_length=20, choices=QuestionKind)
    label = models.CharField(_("label"), max_length=200)
    help = models.TextField(_("help"), blank=True, help_text=_("Markdown, shown under the label."))
    options = models.JSONField(_("options"), default=dict, blank=True)
    show_if = models.JSONField(_("shown if"), default=dict, blank=True)
    is_required = models.BooleanField(_("required"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    # Language → {"label", "help", "choices": {key: label}, "rows": …, "columns": …, "anchors": {number: label}}.
    translations = models.JSONField(_("translations"), default=dict, blank=True)

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["questionnaire", "key"], name="question_key_unique")]

    def __str__(self) -> str:
        return self.key
