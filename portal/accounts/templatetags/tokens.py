"""What the tokens page says about a token's time."""

from __future__ import annotations

import datetime as dt

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def days_left(expiry: dt.datetime) -> int:
    """Days until then, to the nearest whole one: a token for 90 days has 90 left on its first day."""
    return round((expiry - timezone.now()) / dt.timedelta(days=1))
