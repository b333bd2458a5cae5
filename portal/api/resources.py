"""What the API has, for the page that explains it: each resource with its address and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Resource:
    """Below /api/v1/; `address` is one that reads it."""

    address: str
    meaning: Promise

    @property
    def name(self) -> str:
        return self.address.split("/", maxsplit=1)[0]


RESOURCES: Final = (
    Resource("me/", _("Whom a token speaks for, and what it may do.")),
    Resource("me/contributions/", _("What you gave, and what became of it.")),
    Resource("me/questions/", _("What reviewers ask you about it.")),
    Resource("cards/", _("Model cards, with their revisions, facts and known limitations.")),
    Resource("variants/", _("Weights that run here or elsewhere, with digests and facts.")),
    Resource("leaderboard/", _("The arena's ratings with intervals.")),
    Resource("feedback/", _("Judgements of answers.")),
    Resource("submissions/", _("What is said about answers, comparisons and cards, and in campaigns.")),
    Resource("questionnaires/", _("What people are asked, version by version.")),
    Resource("campaigns/", _("Public appeals to answer a questionnaire, and their results.")),
    Resource("review/items/", _("The review queue; for reviewers.")),
    Resource("review/gold/", _("Items that reviewers are measured by; for maintainers.")),
    Resource("review/agreement/", _("How far reviewers agree; for maintainers.")),
    Resource("limitations/", _("What models are known to do wrong, and replays of it elsewhere.")),
    Resource("conversations/", _("Your conversations.")),
    Resource("generations/", _("Your runs: started, followed, cancelled and run again.")),
    Resource("comparisons/", _("Your comparisons side by side, and their votes.")),
    Resource("battles/", _("Your blind battles, and their votes.")),
    Resource("exports/", _("Tables to stream, training sets among them.")),
    Resource("changes/", _("What moved since a place.")),
    Resource("snapshots/", _("Published exports with checksums; maintainers have them made.")),
    Resource("webhooks/", _("Where what moves is told; for maintainers and operators.")),
)
