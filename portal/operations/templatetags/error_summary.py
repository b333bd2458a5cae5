"""What the summary above a refused form says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from django import template

register = template.Library()


@register.filter
def error_count(errors: Mapping[str, Sized]) -> int:
    """How many lines the summary lists: one field may be wrong in several ways."""
    return sum(len(of_field) for of_field in errors.values())
