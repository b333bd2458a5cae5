"""One person's judgement of one thing: what was judged, under which terms, and where its review stands."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.arena.models import Comparison
from portal.arena.review_states import MAX_REASON_CHARACTERS, ReviewState
from portal.catalog.models import ModelCard, Variant
from portal.feedback.models.campaign import Campaign
from portal.feedback.models.questionnaire import Questionnaire
from portal.feedback.signals import submission_changed, submission_reviewed
from portal.playground.models import Generation

if TYPE_CHECKING:
    from portal.feedback.models.answer import Answer

JUST_NOW: Final = timedelta(seconds=10)
# The columns that a change by the contributor writes, beside those that its words decide.
REVISED: Final = (
    "questionnaire", "consent", "licence", "shown", "network_digest", "review_state", "review_reason", "version",
    "changed_at", "withdrawn_at",
)  # fmt: skip


class Target(models.TextChoices):
    """What a submission judges; the column of the same name says which one."""

    GENERATION = "generation", _("Answer")
    COMPARISON = "comparison", _("Comparison")
    CARD = "card", _("Card")
    CAMPAIGN = "campaign", _("Campaign")


class Consent(models.TextChoices):
    """How far what was said may go; each includes those before it."""

    REVIEW = "review", _("For the reviewers here alone")
    PUBLISH = "publish", _("Published in data sets, under a pseudonym")
    QUOTE = "quote", _("Published, and quoted in words on results pages")


PUBLISHABLE: Final = (Consent.PUBLISH, Consent.QUOTE)


# While in one of these, the contributor may change what they said.
OPEN_STATES: Final = (ReviewState.UNREVIEWED, ReviewState.IN_REVIEW, ReviewState.NEEDS_INFORMATION)


def _targets(target: Target, column: str) -> Q:
    others = {"generation", "comparison", "campaign"} - {column}
    return Q(target=target, **{f"{column}__isnull": False}, **{f"{other}__isnull": True for other in others})


class Submission(models.Model):
    """One person's judgement of one target. Withdrawing keeps the row as a tombstone without its answers.

    `version` rises with every accepted write, so that a change, or a verdict, based on an older one can be refused.
    `card` and `variant` say what it is about also where the target is an answer, so that no list needs a join for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.CharField(_("target"), max_length=12, choices=Target, default=Target.GENERATION)
    generation = models.ForeignKey(
        Generation, on_delete=models.CASCADE, null=True, blank=True, related_name="submissions"
    )
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, null=True, blank=True, related_name="submissions"
    )
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, blank=True, related_name="submissions")
    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, null=True, blank=True, related_name="submissions")
    variant = models.ForeignKey(Variant, on_delete=models.SET_NULL, null=True, blank=True, related_name="submissions")
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="submissions")
    # The questionnaire's name, whatever its version: with the target and the person it makes a submission the only one.
    questionnaire_slug = models.SlugField(_("name of the questionnaire"), max_length=80, db_index=False)
    # Where a person may say something once; False also for what a later one superseded.
    is_only = models.BooleanField(_("the only one of its contributor"), default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="submissions",
        verbose_name=_("contributor"),
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, editable=False)
    # Tells that two came from one network, and not from which; for floods.
    network_digest = models.CharField(max_length=20, blank=True, editable=False)

    consent = models.CharField(_("consent"), max_length=8, choices=Consent, default=Consent.PUBLISH)
    licence = models.CharField(_("licence"), max_length=60, blank=True)
    # ISO 639-1 of what was written ("und" where that cannot be told), or of the page when hardly anything was.
    language = models.CharField(_("language"), max_length=12, blank=True)
    # What the person had before them: {"questionnaire", "version", "language", "output_sha256"?,
    # "branched_from"?, "branched_from_sha256"?, "card_revision"?}.
    shown = models.JSONField(_("what was shown"), default=dict)
    # Of the free text without its case and spaces, for copies; empty when there is none to speak of.
    text_digest = models.CharField(max_length=64, blank=True, editable=False)

    review_state = models.CharField(
        _("review"), max_length=20, choices=ReviewState, default=ReviewState.UNREVIEWED, editable=False
    )
    review_reason = models.CharField(
        _("reason for the contributor"), max_length=MAX_REASON_CHARACTERS, blank=True, editable=False
    )
    review_changed_at = models.DateTimeField(_("review changed"), null=True, blank=True, editable=False)

    version = models.PositiveIntegerField(_("version"), default=1)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True, editable=False)

    # Set on the instance by the call that created the row; never stored.
    newly_created = False

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=_targets(Target.GENERATION, "generation")
                | _targets(Target.COMPARISON, "comparison")
                | _targets(Target.CARD, "card")
                | _targets(Target.CAMPAIGN, "campaign"),
                name="submission_one_target",
            ),
            # One per person, target and questionnaire, also when two requests arrive at once.
            *(
                models.UniqueConstraint(
                    fields=[target, "questionnaire_slug", person],
                    condition=Q(is_only=True, target=target, **{f"{person}__isnull": False}),
                    name=f"submission_one_per_{target}_and_{person}",
                )
                for target in Target
                for person in ("owner", "visitor")
            ),
            # Neither is what remains of a deleted account's judgement.
            models.CheckConstraint(
                condition=~Q(owner__isnull=False, visitor__isnull=False), name="submission_one_kind_of_owner"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="submission_created"),
            models.Index(fields=["owner", "-changed_at", "-id"], name="submission_of_owner"),
            models.Index(fields=["visitor", "-changed_at", "-id"], name="submission_of_visitor"),
            models.Index(fields=["review_state", "created_at", "id"], name="submission_in_review_state"),
            models.Index(fields=["card", "created_at", "id"], name="submission_about_card"),
            models.Index(fields=["questionnaire_slug", "created_at", "id"], name="submission_of_questionnaire"),
            models.Index(fields=["network_digest", "created_at"], name="submission_of_network"),
            models.Index(fields=["text_digest"], condition=~Q(text_digest=""), name="submission_text_digest"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def on(
        cls, target: Generation | Comparison | ModelCard | Campaign, questionnaire: Questionnaire, **columns: Any
    ) -> Submission:
        """An unsaved submission that judges `target`."""
        match target:
            case Generation():
                judged = {"generation": target, "variant": target.variant, "card": target.variant.card}
                kind = Target.GENERATION
            case Comparison():
                judged, kind = {"comparison": target}, Target.COMPARISON
            case ModelCard():
                judged, kind = {"card": target}, Target.CARD
            case Campaign():
                judged, kind = {"campaign": target}, Target.CAMPAIGN
        return cls(
            target=kind,
            questionnaire=questionnaire,
            questionnaire_slug=questionnaire.slug,
            **judged,
            **columns,
        )

    def about(self) -> tuple[str, str]:
        """What was judged, in words, and where that is."""
        if self.generation is not None:
            return self.generation.prompt, self.generation.get_absolute_url()
        if self.comparison is not None:
            prompt = self.comparison.generation_a.prompt
            return gettext("A comparison: %(prompt)s") % {"prompt": prompt}, self.comparison.get_absolute_url()
        if self.campaign is not None:
            return gettext(self.campaign.title), self.campaign.get_absolute_url()
        return (self.card.title, self.card.get_absolute_url()) if self.card is not None else ("", "")

    @property
    def said_on(self) -> tuple[str, Any, str]:
        """What it judges with which questionnaire: of those, a person has one."""
        return self.target, getattr(self, f"{self.target}_id"), self.questionnaire_slug

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    @property
    def is_first_version(self) -> bool:
        """Just created by this call, so that nothing can hang on it yet."""
        return self.newly_created and self.version == 1

    @property
    def may_be_changed(self) -> bool:
        """By its contributor: until a verdict was given, or when one asks them for more."""
        return self.review_state in OPEN_STATES

    @property
    def changed_just_now(self) -> bool:
        return timezone.now() - self.changed_at < JUST_NOW

    def values(self) -> dict[str, Any]:
        """Question key → value of everything answered, in the questionnaire's order."""
        return {answer.question.key: answer.value for answer in self.answers.all()}

    def replace_answers(self, answers: Iterable[Answer]) -> None:
        """Make `answers` all there is. Call inside a transaction that holds this row."""
        if not self.is_first_version:
            self.answers.all().delete()
        self._remember(self.answers.bulk_create(answers))
        submission_changed.send(sender=Submission, submission=self)

    def _remember(self, answers: list[Answer]) -> None:
        """Whoever asks next what this says is told without a query, as if it had been prefetched."""
        remembered = self.answers.all()._chain()  # type: ignore[attr-defined]  # noqa: SLF001
        remembered._result_cache, remembered._prefetch_done = answers, True  # noqa: SLF001
        self._prefetched_objects_cache = {"answers": remembered}

    def revise(self, columns: Mapping[str, str], at: datetime) -> None:
        """Say something else, or say it again after a withdrawal. Call inside a transaction that holds this row.

        `columns` are those that follow from the words. What a reviewer asked for, or a tombstone, is looked at anew.
        """
        for name, value in columns.items():
            setattr(self, name, value)
        if self.is_withdrawn or self.review_state != ReviewState.IN_REVIEW:
            self.review_state, self.review_reason = ReviewState.UNREVIEWED, ""
        self.version += 1
        self.changed_at = at
        self.withdrawn_at = None
        self.save(update_fields=[*columns, *REVISED])

    def withdraw(self, at: datetime) -> None:
        """Become a tombstone: when and on what, but no longer what. Call inside a transaction that holds this row."""
        self.answers.all().delete()
        self._remember([])
        self.withdrawn_at = self.changed_at = at
        self.version += 1
        self.language = self.text_digest = self.network_digest = ""
        self.save(update_fields=["withdrawn_at", "changed_at", "version", "language", "text_digest", "network_digest"])
        submission_changed.send(sender=Submission, submission=self)

    def supersede(self, at: datetime) -> None:
        """Make room for another one of the same person on the same target: a tombstone, and not the only one."""
        self.is_only = False
        self.save(update_fields=["is_only"])
        if not self.is_withdrawn:
            self.withdraw(at)

    def move_review(self, states: Collection[ReviewState], to: ReviewState, reason: str = "") -> bool:
        """From one of `states` to another. The only writer of the review's state besides a contributor's change.

        `reason` is for the contributor. False, and nothing happens, when the submission is in another state now, was
        withdrawn, or says something else than the version that this object shows.
        """
        now = timezone.now()
        mine = Submission.objects.filter(
            pk=self.pk, version=self.version, review_state__in=states, withdrawn_at__isnull=True
        )
        with transaction.atomic():
            if mine.update(review_state=to, review_reason=reason[:MAX_REASON_CHARACTERS], review_changed_at=now) != 1:
                return False
            self.review_state, self.review_reason, self.review_changed_at = to, reason[:MAX_REASON_CHARACTERS], now
            submission_reviewed.send(sender=Submission, submission=self)
        return True
