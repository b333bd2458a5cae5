"""The review queue's filters as the API takes them: strictly, and cards and variants by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.api import schema
from portal.api.questionnaire_rows import StrictChoiceField
from portal.api.serializers import StrictPatternField, StrictSerializer, StrictTextField
from portal.exports.criteria import InvalidCriterion
from portal.exports.queries import card_key, variant_key
from portal.reviews.queries.filters import ABOUT, MAX_CHARACTERS, QueueFilters
from portal.reviews.settling import ItemState, Reason, Verdict

STATES: Final = ("open", *ItemState.values)
_LANGUAGE: Final = "^[A-Za-z-]{2,12}$"
_SLUG: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,80}$"}
# Votes have names in the place of questionnaires, as in vote:battle.
_FORM: Final = {"type": "string", "pattern": "^[A-Za-z0-9_:-]{1,80}$"}
_DAY: Final = {"type": "string", "format": "date"}
FILTERS: Final = [
    schema.query(
        "state", {"type": "string", "enum": list(STATES)}, gettext_lazy("Only in this state; open: all that wait.")
    ),
    schema.query("outcome", {"type": "string", "enum": Verdict.values}, gettext_lazy("Only decided so.")),
    schema.query("reason", {"type": "string", "enum": Reason.values}, gettext_lazy("Only rejected for this reason.")),
    schema.query("card", schema.CARD_NAME, gettext_lazy("Only about this card: owner/name.")),
    schema.query("variant", schema.MODEL_ID, gettext_lazy("Only about this variant: owner/name:variant.")),
    schema.query(
        "about",
        {"type": "string", "enum": list(ABOUT)},
        gettext_lazy("Only about such things; battle and side_by_side are votes."),
    ),
    schema.query("campaign", _SLUG, gettext_lazy("Only given in this campaign.")),
    schema.query("questionnaire", _FORM, gettext_lazy("Only answers to this questionnaire.")),
    schema.query("language", {"type": "string", "pattern": _LANGUAGE}, gettext_lazy("Only what was written in it.")),
    schema.query("thumb", {"type": "string", "enum": ["up", "down"]}, gettext_lazy("Only this thumb.")),
    schema.query("signs", {"type": "string", "enum": ["1"]}, gettext_lazy("Only what shows signs of abuse.")),
    schema.query("since", _DAY, gettext_lazy("Only what entered on this day (UTC) or later.")),
    schema.query("until", _DAY, gettext_lazy("Only what entered on this day (UTC) or before.")),
]
NAMES: Final = tuple(each.name for each in FILTERS)


class NextItemSerializer(StrictSerializer):
    """The filters of the list; left out, any item."""

    state = StrictChoiceField(choices=STATES, required=False)
    outcome = StrictChoiceField(choices=Verdict.values, required=False)
    reason = StrictChoiceField(choices=Reason.values, required=False)
    card = StrictPatternField(schema.CARD_NAME["pattern"], required=False, max_length=200)
    variant = StrictPatternField(schema.MODEL_ID["pattern"], required=False, max_length=300)
    about = StrictChoiceField(choices=list(ABOUT), required=False)
    campaign = StrictPatternField(_SLUG["pattern"], required=False)
    questionnaire = StrictPatternField(_FORM["pattern"], required=False)
    language = StrictPatternField(_LANGUAGE, required=False)
    thumb = StrictChoiceField(choices=["up", "down"], required=False)
    signs = StrictChoiceField(choices=["1"], required=False)
    since = StrictTextField(required=False, max_length=10)
    until = StrictTextField(required=False, max_length=10)


def read_filters(texts: Mapping[str, str]) -> QueueFilters:
    """Raises InvalidCriterion for what is not understood, which the page would leave out."""
    asked: dict[str, Any] = {name: texts[name] for name in NAMES if name in texts}
    for name, key_of in (("card", card_key), ("variant", variant_key)):
        if name in asked:
            asked[name] = key_of(asked[name])
    filters = QueueFilters.from_query(asked)
    for name, text in asked.items():
        if not getattr(filters, name) or len(str(text)) > MAX_CHARACTERS or "\x00" in str(text):
            raise InvalidCriterion(name, _("Is not one of the values that the documentation names."))
    return filters
