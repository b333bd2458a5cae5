"""What the API takes and says of a snapshot that is being made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal.api import schema
from portal.api.questionnaire_rows import StrictBooleanField, StrictChoiceField
from portal.api.row_answers import members_of
from portal.api.serializers import StrictSerializer, StrictTextField
from portal.catalog.job_models import JobState
from portal.exports.criteria import MAX_ECHOED_CHARACTERS, PARAMETERS, Criteria, InvalidCriterion
from portal.exports.models import Salting, Snapshot
from portal.exports.rows import iso_utc
from portal.exports.snapshot_models import MAX_NOTE_CHARACTERS, MAX_TITLE_CHARACTERS
from portal.exports.tables import TABLES

_SCHEMAS: Final[Mapping[str, Any]] = {
    each.name: each.type for each in schema.LIST_PARAMETERS if each.name in PARAMETERS
}


@extend_schema_field({"type": "object", "properties": dict(_SCHEMAS), "additionalProperties": False})
class FiltersField(serializers.Field):  # type: ignore[type-arg]
    """The filters of an export: as its parameters, with numbers and lists as JSON has them. Gives Criteria."""

    default_error_messages = {
        "invalid": _("Must be an object of filter to value."),
        "type": _("Is of the wrong type."),
    }

    def to_internal_value(self, data: Any) -> Criteria:
        if not isinstance(data, dict):
            self.fail("invalid")
        for name, value in data.items():
            if name in _SCHEMAS and not _is_of(_SCHEMAS[name], value):
                raise serializers.ValidationError({name: [self.error_messages["type"]]})
        try:
            return Criteria.from_texts({name: _text(value) for name, value in data.items()})
        except InvalidCriterion as error:
            raise serializers.ValidationError({error.parameter[:MAX_ECHOED_CHARACTERS]: [error.limit]}) from error

    def to_representation(self, value: Mapping[str, str]) -> dict[str, Any]:
        return filters_json(value)


class NewSnapshotSerializer(StrictSerializer):
    """A snapshot to make."""

    title = StrictTextField(max_length=MAX_TITLE_CHARACTERS)
    note = StrictTextField(
        max_length=MAX_NOTE_CHARACTERS,
        allow_blank=True,
        required=False,
        help_text=_("What it is for; it stands in the dataset card."),
    )
    tables = serializers.ListField(child=StrictChoiceField(choices=list(TABLES)), min_length=1, max_length=len(TABLES))
    filters = FiltersField(
        required=False, help_text=_("What the tables hold; each table heeds those that it has. None: everything.")
    )
    salting = StrictChoiceField(
        choices=Salting.values,
        required=False,
        help_text=_("Pseudonyms of this snapshot's own, or the installation's, as the API has them."),
    )
    redacts = StrictBooleanField(required=False, help_text=_("Replace what looks like personal data."))


class SnapshotBuildSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The making of a snapshot. `number` and `snapshot` are null until it is published."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=JobState.values)
    is_being_stopped = serializers.BooleanField()
    stage = serializers.CharField(
        allow_blank=True,
        help_text=_("What a worker is doing: writing:<table>, waiting (for the snapshot before), comparing, storing."),
    )
    done = serializers.IntegerField(help_text=_("Rows written; bytes where it is storing."))
    total = serializers.IntegerField(help_text=_("About how many there will be; 0 while that is not known."))
    error = serializers.CharField(allow_blank=True, help_text=_("Why it failed."))
    number = serializers.IntegerField(allow_null=True)
    snapshot = serializers.CharField(allow_null=True, help_text=_("Where it is, once it is published."))
    page = serializers.CharField()
    title = serializers.CharField()
    note = serializers.CharField(allow_blank=True)
    tables = serializers.ListField(child=serializers.ChoiceField(choices=list(TABLES)))
    filters = FiltersField()
    salting = serializers.ChoiceField(choices=Salting.values)
    redacts = serializers.BooleanField()
    requested_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


BUILD_MEMBERS: Final = members_of(SnapshotBuildSerializer)
EXAMPLE_ASKED: Final = {
    "title": "Autumn",
    "note": "For the paper.",
    "tables": ["sft", "dpo", "kto"],
    "filters": {"review_state": ["accepted"], "language": "en"},
    "redacts": True,
}
EXAMPLE_BUILD: Final = {
    "id": 12,
    "state": "running",
    "is_being_stopped": False,
    "stage": "writing:kto",
    "done": 4000,
    "total": 12000,
    "error": "",
    "number": None,
    "snapshot": None,
    "page": "/exports/snapshots/12/",
    **EXAMPLE_ASKED,
    "salting": "own",
    "requested_by": "keeper",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "started_at": "2026-05-01T12:00:01.250000Z",
    "finished_at": None,
}


def build_row(snapshot: Snapshot) -> dict[str, Any]:
    """What the API says of one, however far it is. Reads `requested_by`."""
    published = snapshot.number if snapshot.is_published else None
    asker = snapshot.requested_by
    return {
        "id": snapshot.pk,
        "state": snapshot.state,
        "is_being_stopped": snapshot.is_active and snapshot.cancel_requested_at is not None,
        "stage": snapshot.stage,
        "done": snapshot.done,
        "total": snapshot.total,
        "error": snapshot.error,
        "number": published,
        "snapshot": None if published is None else reverse("api:snapshot-detail", args=[published]),
        "page": snapshot.get_absolute_url(),
        "title": snapshot.title,
        "note": snapshot.note,
        "tables": snapshot.tables,
        "filters": filters_json(snapshot.criteria),
        "salting": snapshot.salting,
        "redacts": snapshot.redacts,
        "requested_by": None if asker is None else asker.username,
        "created_at": iso_utc(snapshot.created_at),
        "started_at": None if snapshot.started_at is None else iso_utc(snapshot.started_at),
        "finished_at": None if snapshot.finished_at is None else iso_utc(snapshot.finished_at),
    }


def filters_json(texts: Mapping[str, str]) -> dict[str, Any]:
    """Criteria as texts, with numbers and lists as JSON has them."""
    return {name: _json(_SCHEMAS[name], text) for name, text in texts.items()}


def _json(kind: Mapping[str, Any], text: str) -> Any:
    match kind.get("type"):
        case "integer":
            return int(text)
        case "array":
            return text.split(",")
        case _:
            return text


def _is_of(kind: Mapping[str, Any], value: Any) -> bool:
    match kind.get("type"):
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "array":
            # An item is one value, and a text's comma parts two.
            return isinstance(value, list) and all(isinstance(each, str) and "," not in each for each in value)
        case _:
            return isinstance(value, str)


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
