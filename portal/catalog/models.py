"""Model cards, their immutable revisions, and the variants that can run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from inference.sampling_params import InvalidParameter, SamplingParams
from portal.catalog import job_models as _job_models  # noqa: F401  Django finds models here
from portal.catalog.following_models import CardEvent, EventKind, EventMail, Follow, MailState, Outgoing
from portal.catalog.gate_models import OPEN_STATES, REFUSED_STATES, AccessRequest, AccessState, Gate

__all__ = [
    "OPEN_STATES", "REFUSED_STATES", "AccessRequest", "AccessState", "Backend", "CardBase", "CardDraft", "CardEvent",
    "CardFacet", "CardPicture", "CardRevision", "EventKind", "EventMail", "Facet", "Follow", "Gate", "MailState",
    "ModelCard", "Outgoing", "Relation", "SizeClass", "TensorList", "TensorPart", "Variant", "name_part",
]  # fmt: skip

MAX_NOTE_CHARACTERS: Final = 300

# For addresses and ids; without anchors.
NAME_PATTERN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"

name_part = RegexValidator(
    rf"\A{NAME_PATTERN}\Z",
    _("Use letters, digits, dots, hyphens and underscores, at most 96, beginning and ending with a letter or digit."),
)


class ModelCard(models.Model):
    """The public page of a model, named owner/slug as on model hubs."""

    owner_name = models.CharField(_("owner"), max_length=96, validators=[name_part])
    slug = models.CharField(_("name"), max_length=96, validators=[name_part])
    title = models.CharField(_("title"), max_length=200)
    summary = models.CharField(_("summary"), max_length=500, blank=True)
    current_revision = models.ForeignKey(
        "CardRevision", on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    is_published = models.BooleanField(_("published"), default=True)
    gate = models.CharField(
        _("who may run it"),
        max_length=10,
        choices=Gate,
        default=Gate.OPEN,
        help_text=_("The form's questions and terms are extra_gated_… fields of the card's text."),
    )
    # Of the file in CardPicture; a card's text shows it by naming it.
    picture_name = models.CharField(max_length=100, blank=True, editable=False)
    # Of its largest variant; kept by card_index.py, to sort by.
    parameters = models.BigIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("model card")
        verbose_name_plural = _("model cards")
        ordering = ["-updated_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["owner_name", "slug"], name="card_name_unique")]
        indexes = [models.Index(fields=["-updated_at", "-id"], name="card_updated")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("catalog:card", args=[self.owner_name, self.slug])

    @property
    def name(self) -> str:
        return f"{self.owner_name}/{self.slug}"


class CardRevision(models.Model):
    """One immutable text of a card, in Hugging Face form: YAML front matter and Markdown, kept byte for byte."""

    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(_("number"))
    text = models.TextField(_("text"))
    metadata = models.JSONField(_("metadata"), default=dict)
    sha256 = models.CharField(max_length=64)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    note = models.CharField(_("note"), max_length=MAX_NOTE_CHARACTERS, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("card revision")
        verbose_name_plural = _("card revisions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["card", "number"], name="revision_number_unique")]

    def __str__(self) -> str:
        return f"{self.card_id} #{self.number}"


class CardPicture(models.Model):
    """A small picture that came with an imported folder; apart from the card, so that lists do not load it."""

    card = models.OneToOneField(ModelCard, on_delete=models.CASCADE, related_name="picture")
    content = models.BinaryField()

    def __str__(self) -> str:
        return str(self.card_id)


class CardDraft(models.Model):
    """What a maintainer typed and has not published yet: one per card and person, kept until then."""

    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="drafts")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    text = models.TextField(_("text"))
    note = models.CharField(_("note"), max_length=MAX_NOTE_CHARACTERS, blank=True)
    # The number of the revision that the author started from, 0 for none.
    based_on = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "author"], name="card_draft_unique")]

    def __str__(self) -> str:
        return f"{self.card_id} {self.author_id}"


class Backend(models.TextChoices):
    """What runs a variant; settings.ENGINE_BACKENDS maps each to its engine."""

    TRANSFORMERS = "transformers", _("Local weights (transformers)")
    OPENAI = "openai", _("OpenAI-compatible upstream")


class Relation(models.TextChoices):
    """How a variant's weights came from the weights that the card describes; empty where they are those weights."""

    QUANTIZED = "quantized", _("Quantised")
    ADAPTER = "adapter", _("Adapter")
    FINETUNE = "finetune", _("Fine-tuned")
    MERGE = "merge", _("Merged")


class Variant(models.Model):
    """One runnable set of weights, or one upstream."""

    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="variants")
    slug = models.CharField(_("name"), max_length=96, validators=[name_part])
    backend = models.CharField(_("backend"), max_length=20, choices=Backend)
    # A folder, absolute or below STEELYARD_HOME; or an upstream's base URL.
    source = models.CharField(_("source"), max_length=500)
    relation = models.CharField(_("relation to its base"), max_length=10, choices=Relation, blank=True)
    # An adapter runs on its base's weights and in its batches; for the others it only says what they were made from.
    base = models.ForeignKey(
        "self", on_delete=models.RESTRICT, null=True, blank=True, related_name="derived", verbose_name=_("base variant")
    )
    format = models.CharField(_("format"), max_length=20, blank=True)
    dtype = models.CharField(_("dtype"), max_length=20, blank=True)
    quantisation = models.CharField(_("quantisation"), max_length=40, blank=True)
    digests = models.JSONField(_("SHA-256 per file"), default=dict)
    facts = models.JSONField(_("facts read from the weights"), default=dict)
    # Size and time of each file when the facts were read, so that unchanged weights are not read again.
    file_stamps = models.JSONField(default=dict, editable=False)
    defaults = models.JSONField(_("default sampling parameters"), default=dict, blank=True)
    queue = models.CharField(_("Celery queue"), max_length=100, default="generations")
    is_runnable = models.BooleanField(_("runnable"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("variant")
        verbose_name_plural = _("variants")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["card", "slug"], name="variant_name_unique"),
            models.CheckConstraint(
                condition=~Q(relation=Relation.ADAPTER) | Q(base__isnull=False), name="adapter_has_a_base"
            ),
            models.CheckConstraint(condition=Q(base__isnull=True) | ~Q(base=F("id")), name="variant_is_not_its_base"),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        """Raises ValidationError({"defaults": …}) for sampling parameters that no engine takes, ({"source": …}) for an
        upstream's address that was typed: the import asks it, and ties the key to it; and ({"base": …})."""
        super().clean()
        self._require_base()
        if self.backend == Backend.OPENAI and self.source != self.facts.get("upstream_url"):
            raise ValidationError(
                {"source": _("An upstream is added, and moved, with manage.py import_model, which asks it first.")}
            )
        if not isinstance(self.defaults, dict):
            raise ValidationError({"defaults": _("Must be a JSON object, such as {“temperature”: 0.2}.")})
        try:
            SamplingParams.from_mapping(self.defaults)
        except InvalidParameter as error:
            raise ValidationError({"defaults": str(error)}) from error

    def _require_base(self) -> None:
        if not self.is_adapter:
            return
        if self.base is None:
            raise ValidationError({"base": _("An adapter needs the variant that it runs on.")})
        if self.base.backend != Backend.TRANSFORMERS or self.base.is_adapter:
            raise ValidationError({"base": _("An adapter runs on local weights that are no adapter themselves.")})
        if self.backend != Backend.TRANSFORMERS:
            raise ValidationError({"backend": _("An adapter runs on local weights.")})

    @property
    def has_no_chat_template(self) -> bool:
        """Whether its weights only continue texts: their facts say so."""
        return bool(self.facts.get("chat_template") == "")

    @property
    def is_adapter(self) -> bool:
        """Whether this runs in its base's engine."""
        return self.relation == Relation.ADAPTER

    @property
    def runs_on(self) -> Variant:
        """The variant whose weights are loaded to run this one: an adapter's base, else itself."""
        return self.base if self.is_adapter and self.base is not None else self

    @property
    def runs_on_id(self) -> int:
        """That variant's key, for which its row need not be read."""
        return self.base_id if self.is_adapter and self.base_id is not None else self.pk

    @property
    def model_id(self) -> str:
        """The id that clients use: owner/card:variant."""
        return f"{self.card.name}:{self.slug}"

    @property
    def context_length(self) -> int | None:
        """The most tokens of prompt and answer together, where the weights say."""
        value = self.facts.get("context_length")
        return value if isinstance(value, int) else None

    @property
    def folder(self) -> Path | None:
        """Where local weights lie; None for an upstream."""
        if self.backend != Backend.TRANSFORMERS:
            return None
        home: Path = settings.STEELYARD_HOME
        return home / self.source


class Facet(models.TextChoices):
    """What cards are filtered by."""

    LICENSE = "license", _("Licence")
    LANGUAGE = "language", _("Language")
    TASK = "task", _("Task")
    SIZE = "size", _("Parameters")
    QUANTISATION = "quantisation", _("Quantisation")
    GATE = "gate", _("Access")


class SizeClass(models.TextChoices):
    """How large a model is; each reaches from its number of parameters to the next one's."""

    TINY = "0", _("under 1 billion")
    SMALL = "1", _("1 to 3 billion")
    MIDDLE = "3", _("3 to 10 billion")
    LARGE = "10", _("10 to 40 billion")
    HUGE = "40", _("40 billion and more")

    @classmethod
    def of(cls, parameters: int) -> SizeClass:
        return max((size for size in cls if parameters >= int(size) * 10**9), key=int, default=cls.TINY)


class CardFacet(models.Model):
    """One thing that a card is filtered by, taken from its metadata and weights (card_index.py)."""

    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="facets")
    kind = models.CharField(max_length=12, choices=Facet)
    value = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "kind", "value"], name="card_facet_unique")]
        indexes = [models.Index(fields=["kind", "value", "card"], name="card_facet_value")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}"


class CardBase(models.Model):
    """What a card says that its model was made from, taken from its metadata (card_index.py)."""

    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="bases")
    # owner/name as the card writes it: a card of this installation, or one of elsewhere.
    name = models.CharField(max_length=200)
    relation = models.CharField(max_length=10, choices=Relation, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["card", "name"], name="card_base_unique")]
        indexes = [models.Index(fields=["name", "card"], name="card_base_name")]

    def __str__(self) -> str:
        return f"{self.card_id} {self.relation} {self.name}"


class TensorPart(models.TextChoices):
    """Which file's tensors a list holds."""

    WEIGHTS = "weights", _("The weights that run")
    ORIGIN = "origin", _("The file they were converted from")


class TensorList(models.Model):
    """All tensors of a variant, kept here so that web processes need not reach the weights; rows: tensor_rows.py."""

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="tensor_lists")
    part = models.CharField(max_length=10, choices=TensorPart)
    packed = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["variant", "part"], name="tensor_list_unique")]

    def __str__(self) -> str:
        return f"{self.variant_id} {self.part}"
