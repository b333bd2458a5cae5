"""What people reported of a model, accepted by reviewers."""

from __future__ import annotations

from portal.accounts.models import User
from portal.feedback.models import ReviewState, Submission
from tests.feedback.judgements import judge, make_generation


def report(owner: User, text: str, prompt: str = "What is the capital of Australia?") -> Submission:
    submission = judge(owner, make_generation(owner, prompt=prompt, output="Sydney."), thumb="down", comment=text)
    Submission.objects.filter(pk=submission.pk).update(review_state=ReviewState.ACCEPTED)
    submission.refresh_from_db()
    return submission
