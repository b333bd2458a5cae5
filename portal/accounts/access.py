"""Loading what is a person's own; what is somebody else's does not exist for them."""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404

from portal.accounts.models import ApiToken, User
from portal.accounts.queries import tokens_of


def get_token(user: User, token_id: uuid.UUID) -> ApiToken:
    """The person's own token. Raises Http404."""
    return get_object_or_404(tokens_of(user), pk=token_id)
