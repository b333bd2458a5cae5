"""The exports' filters as options of a command, by the names that the API gives them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from portal.exports.criteria import PARAMETERS, Criteria

HELP: Final = {
    "card": "only this card, owner/name",
    "variant": "only this variant, owner/name:variant",
    "rating": "only this helpfulness, 1 to 5",
    "rating_min": "at least this helpfulness",
    "rating_max": "at most this helpfulness",
    "thumb": "only up or down",
    "since": "created at or after this ISO 8601 date, or time with offset",
    "until": "created before it",
    "questionnaire": "only answers to this questionnaire, any version",
    "campaign": "only this campaign",
    "language": "only this language, ISO 639-1",
    "licence": "only under this licence",
    "review_state": "only in one of these states of review, separated by commas",
    "label": "only with this label of a reviewer",
    "agreement_min": "only where at least this share of two or more reviewers said what was decided, 0 to 1",
}


def add_filters(parser: ArgumentParser) -> None:
    for parameter in PARAMETERS:
        parser.add_argument(option_of(parameter), metavar="X", help=HELP[parameter])


def option_of(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def chosen_criteria(options: Mapping[str, Any]) -> Criteria:
    """Raises InvalidCriterion."""
    return Criteria.from_texts(
        {parameter: options[parameter] for parameter in PARAMETERS if options[parameter] is not None}
    )
