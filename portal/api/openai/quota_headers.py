"""What is left of a client's quotas, in the headers by which OpenAI's clients know it."""

from __future__ import annotations

from collections.abc import Sequence

from portal.playground.quota import Quota


def quota_headers(quotas: Sequence[Quota]) -> dict[str, str]:
    """The tightest of the quotas, for requests and for tokens; nothing where there is no limit."""
    headers: dict[str, str] = {}
    runs = min((each for each in quotas if each.runs_allowed), key=lambda each: each.runs_left or 0, default=None)
    if runs is not None:
        headers |= _headers("requests", runs.runs_allowed, runs.runs_left, runs)
    tokens = min((each for each in quotas if each.tokens_allowed), key=lambda each: each.tokens_left or 0, default=None)
    if tokens is not None:
        headers |= _headers("tokens", tokens.tokens_allowed, tokens.tokens_left, tokens)
    return headers


def _headers(what: str, allowed: int, left: int | None, quota: Quota) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{what}": str(allowed),
        f"x-ratelimit-remaining-{what}": str(left or 0),
        # From then on the oldest counted run is counted no more.
        f"x-ratelimit-reset-{what}": f"{quota.frees_in_s}s",
    }
