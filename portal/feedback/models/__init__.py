"""The review database's intake: versioned questionnaires, campaigns, and what people submitted."""

from portal.arena.review_states import ReviewState
from portal.feedback.models.answer import COLUMNS, Answer, stored_value
from portal.feedback.models.campaign import Campaign, CampaignDraft, ChosenQuote
from portal.feedback.models.questionnaire import Question, QuestionKind, Questionnaire
from portal.feedback.models.submission import OPEN_STATES, PUBLISHABLE, Consent, Submission, Target

__all__ = [
    "COLUMNS",
    "OPEN_STATES",
    "PUBLISHABLE",
    "Answer",
    "Campaign",
    "CampaignDraft",
    "ChosenQuote",
    "Consent",
    "Question",
    "QuestionKind",
    "Questionnaire",
    "ReviewState",
    "Submission",
    "Target",
    "stored_value",
]
