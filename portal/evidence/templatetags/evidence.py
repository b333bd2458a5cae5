"""Shares and means in words, each with its interval."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

from portal.evidence.intervals import Mean, Share

register = template.Library()


@register.filter
def share_words(share: Share) -> str:
    """62 % (51 to 72 %, n = 80); a dash for nothing."""
    if share.value is None:
        return "–"  # noqa: RUF001 - a dash
    low, high = share.interval
    return _("%(share)s %% (%(low)s to %(high)s %%, n = %(n)s)") % {
        "share": round(100 * share.value),
        "low": round(100 * low),
        "high": round(100 * high),
        "n": f"{share.n:,}",
    }


@register.filter
def mean_words(mean: Mean | None) -> str:
    """3.7 (3.4 to 4.0, n = 80); without an interval where there is none to give."""
    if mean is None:
        return "–"  # noqa: RUF001 - a dash
    values = {"mean": f"{mean.value:.2f}", "n": f"{mean.n:,}"}
    if mean.low is None or mean.high is None:
        return _("%(mean)s (n = %(n)s, too few different ratings for an interval)") % values
    return _("%(mean)s (%(low)s to %(high)s, n = %(n)s)") % {
        **values,
        "low": f"{mean.low:.2f}",
        "high": f"{mean.high:.2f}",
    }


@register.filter
def two_digits(value: float) -> str:
    """A number between -1 and 1, with a minus that is one."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
