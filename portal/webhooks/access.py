"""Who has webhooks: maintainers and operators their own; operators see everybody's."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.webhooks.models import Delivery, Endpoint


def may_have_webhooks(user: object) -> bool:
    return isinstance(user, User) and user.is_active and user.has_perm("webhooks.add_endpoint")


def visible_endpoints(user: object) -> QuerySet[Endpoint]:
    """Newest first."""
    if not isinstance(user, User) or not may_have_webhooks(user):
        return Endpoint.objects.none()
    endpoints = Endpoint.objects.select_related("owner")
    return endpoints if user.has_role(Role.OPERATOR) else endpoints.filter(owner=user)


def get_endpoint(user: object, endpoint_id: uuid.UUID, *, for_update: bool = False) -> Endpoint:
    """Raises Http404 for one that is not there for this person. `for_update` holds it, in a transaction."""
    visible = visible_endpoints(user)
    endpoint = (visible.select_for_update(of=("self",)) if for_update else visible).filter(pk=endpoint_id).first()
    if endpoint is None:
        raise Http404
    return endpoint


def get_delivery(user: object, endpoint_id: uuid.UUID, message_id: str) -> Delivery:
    """Raises Http404."""
    endpoint = get_endpoint(user, endpoint_id)
    delivery = endpoint.deliveries.filter(message_id=message_id).first()
    if delivery is None:
        raise Http404
    return delivery
