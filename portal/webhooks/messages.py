"""What a message says: made when it is sent, of what there is to see then."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.urls import reverse

from portal.exports.change_rows import rows_now
from portal.exports.models import ChangeKind, RecordKind
from portal.exports.rows import iso_utc
from portal.webhooks.models import PING, Delivery


def body_of(delivery: Delivery) -> bytes:
    """The body as UTF-8 JSON. `row` is what the API shows an exporter at this moment, null where that is nothing."""
    if delivery.kind == PING:
        data: dict[str, Any] = {"endpoint": str(delivery.endpoint_id)}
    else:
        record = (delivery.kind, delivery.record)
        row = None if delivery.change == ChangeKind.WITHDRAWN else rows_now([record]).get(record)
        data = {
            "kind": delivery.kind,
            "id": delivery.record,
            "change": delivery.change,
            "url": _address(delivery, row),
            "row": row,
        }
    message = {"type": delivery.type, "timestamp": iso_utc(delivery.at), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _address(delivery: Delivery, row: dict[str, Any] | None) -> str | None:
    """Where the record is read, where it has a place of its own."""
    match delivery.kind:
        case RecordKind.SNAPSHOT:
            path = reverse("api:snapshot-detail", args=[delivery.record])
        case RecordKind.LIMITATION:
            path = reverse("api:limitation-detail", args=[delivery.record])
        case RecordKind.SUBMISSION:
            path = reverse("api:submission-detail", args=[delivery.record])
        case RecordKind.VERDICT if row is not None and row["submission"] is not None:
            path = reverse("api:submission-detail", args=[delivery.record])
        case _:
            return None
    return settings.SITE_URL + path
