"""Which known limitations a request may read."""

from __future__ import annotations

import uuid

from django.http import Http404
from rest_framework.request import Request

from portal.accounts.models import Scope
from portal.api.permissions import has_any_scope, page_request
from portal.reviews.access import get_limitation
from portal.reviews.models import Limitation


def readable_limitation(request: Request, limitation_id: uuid.UUID) -> Limitation:
    """As the page shows it; one of an unpublished card needs the scope admin too. Raises Http404."""
    limitation = get_limitation(page_request(request), limitation_id)
    if not limitation.card.is_published and not has_any_scope(request, Scope.ADMIN):
        raise Http404
    return limitation
