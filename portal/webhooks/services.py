"""Webhooks made and changed by people: on the pages and over the API the same."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.exports.models import RecordKind
from portal.webhooks.access import may_have_webhooks
from portal.webhooks.addresses import check_address
from portal.webhooks.fan_out import begin_now, new_message_id
from portal.webhooks.models import PING, Delivery, Disabled, Endpoint
from portal.webhooks.signing import digest_of, has_its_secret, new_nonce, secret_of
from portal.webhooks.waking import wake_soon

MAX_ENDPOINTS: Final = 20
MAX_NAME_CHARACTERS: Final = 80
OLD_SECRET_IS_GOOD_FOR: Final = timedelta(hours=24)


class EndpointExists(Exception):
    """One with this id was made before, as by the same request sent twice."""


class EndpointDisabled(Exception):
    """Nothing is sent to this endpoint; `str()` says why."""


def make_endpoint(
    owner: User, *, name: str, url: str, kinds: Collection[str], endpoint_id: uuid.UUID | None = None
) -> tuple[Endpoint, str]:
    """The endpoint and its secret, which nobody can be shown again.

    Raises PermissionDenied, ValidationError by field, and EndpointExists where `endpoint_id` was used before.
    """
    if not may_have_webhooks(owner):
        raise PermissionDenied(_("Only maintainers and operators have webhooks."))
    values = _checked({"name": name, "url": url, "kinds": kinds})
    nonce = new_nonce()
    with transaction.atomic():
        # Held, so that two at once do not both find room.
        User.objects.select_for_update().get(pk=owner.pk)
        if endpoint_id is not None and Endpoint.objects.filter(pk=endpoint_id).exists():
            raise EndpointExists
        if owner.webhook_endpoints.count() >= MAX_ENDPOINTS:
            raise ValidationError(_("You have %d webhooks. Delete one first.") % MAX_ENDPOINTS)
        if not Endpoint.objects.filter(disabled="").exists():
            begin_now()
        endpoint = Endpoint(
            id=endpoint_id or uuid.uuid4(), owner=owner, nonce=nonce, secret_digest=digest_of(nonce), **values
        )
        endpoint.save(force_insert=True)
    return endpoint, secret_of(nonce)


def change_endpoint(endpoint: Endpoint, values: dict[str, Any]) -> Endpoint:
    """Write name, url, kinds or enabled, where given. Raises ValidationError by field."""
    columns = _checked({key: value for key, value in values.items() if key in {"name", "url", "kinds"}})
    with transaction.atomic():
        locked = Endpoint.objects.select_related("owner").select_for_update(of=("self",)).get(pk=endpoint.pk)
        for name, value in columns.items():
            setattr(locked, name, value)
        if values.get("enabled") is False and locked.is_enabled:
            locked.disabled = Disabled.BY_HAND
        if values.get("enabled") is True and not locked.is_enabled:
            _enable(locked)
        locked.save()
        if locked.is_enabled:
            wake_soon()
    return locked


def delete_endpoint(endpoint: Endpoint) -> None:
    """With its messages, also those that wait."""
    endpoint.delete()


def roll_secret(endpoint: Endpoint) -> str:
    """The new secret. The one before signs as well for a day."""
    nonce = new_nonce()
    with transaction.atomic():
        locked = Endpoint.objects.select_for_update(of=("self",)).get(pk=endpoint.pk)
        locked.old_nonce = locked.nonce if has_its_secret(locked) else ""
        locked.old_until = timezone.now() + OLD_SECRET_IS_GOOD_FOR
        locked.nonce, locked.secret_digest = nonce, digest_of(nonce)
        if locked.disabled == Disabled.SECRET:
            _enable(locked)
        locked.save()
    return secret_of(nonce)


def ping(endpoint: Endpoint) -> Delivery:
    """A message that says nothing, to try the endpoint. Raises EndpointDisabled."""
    _require_enabled(endpoint)
    with transaction.atomic():
        delivery = Delivery.objects.create(endpoint=endpoint, message_id=new_message_id(), kind=PING)
        wake_soon()
    return delivery


def redeliver(delivery: Delivery) -> bool:
    """Send a message again, under its own id; False while it is being sent. Raises EndpointDisabled."""
    _require_enabled(delivery.endpoint)
    with transaction.atomic():
        asked = delivery.ask_again()
        wake_soon()
    return asked


def _enable(endpoint: Endpoint) -> None:
    if not Endpoint.objects.filter(disabled="").exists():
        begin_now()
    endpoint.disabled = ""
    endpoint.given_up_in_a_row = 0
    endpoint.enabled_at = timezone.now()


def _require_enabled(endpoint: Endpoint) -> None:
    if not endpoint.is_enabled:
        raise EndpointDisabled(_("This webhook is switched off: switch it on first."))


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    errors: dict[str, list[str]] = {}
    if "name" in values:
        values["name"] = str(values["name"]).strip()
        if not 0 < len(values["name"]) <= MAX_NAME_CHARACTERS or not values["name"].isprintable():
            errors["name"] = [_("Must have 1 to %d printable characters.") % MAX_NAME_CHARACTERS]
    if "kinds" in values:
        chosen = set(values["kinds"])
        values["kinds"] = [kind for kind in RecordKind.values if kind in chosen]
        if not values["kinds"] or chosen - set(RecordKind.values):
            errors["kinds"] = [_("Choose at least one of: %s.") % ", ".join(RecordKind.values)]
    if "url" in values:
        try:
            check_address(values["url"])
        except ValidationError as error:
            errors |= error.message_dict
    if errors:
        raise ValidationError(errors)
    return values
