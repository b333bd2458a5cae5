"""The leaderboard, how it is made, and the votes behind it. Public, like the cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.accounts.streaming import stream_pieces
from portal.arena.bradley_terry import PRIOR_TIES
from portal.arena.forms import limit_words
from portal.arena.leaderboard import read_filters, read_leaderboard, unknown_filters, voted_choices
from portal.arena.models import Category, Pool
from portal.arena.prompt_kinds import LONG_PROMPT
from portal.arena.queries import pool_named, pools_with_newest_vote
from portal.arena.ranking import HARD_FROM, LEAST_STYLED_VOTES, PERIODS, ROUNDS
from portal.arena.vote_files import VOTE_FORMATS, vote_pieces
from portal.arena.written_language import LEAST_LETTERS, LEAST_PROBABILITY


@never_cache
@require_safe
def leaderboard(request: HttpRequest) -> HttpResponse:
    """The ranking of a pool; the address holds the filters. htmx gets the ranking alone."""
    pools = pools_with_newest_vote()
    pool = _chosen(request, pools)
    context: dict[str, Any] = {"pools": pools, "pool": pool}
    if pool is not None:
        filters = read_filters(request.GET, pool.slug)
        context |= {"board": read_leaderboard(filters), "filters": filters, "query": request.GET.urlencode()}
    if getattr(request, "htmx", False):
        return render(request, "arena/board.html", context)
    if pool is not None:
        languages, variants = voted_choices(pool.slug)
        context |= {
            "languages": languages,
            "variants": variants,
            "unvoted_variant": filters.variant if filters.variant not in {each.pk for each in variants} else None,
            "categories": Category.choices,
            "periods": PERIODS,
            # A form sends what it leaves open as an empty text.
            "left_out": [name for name in unknown_filters(request.GET, filters) if request.GET[name]],
        }
    return render(request, "arena/leaderboard.html", context)


@require_safe
def method(request: HttpRequest) -> HttpResponse:
    """What exactly is done, with the numbers that the code has."""
    return render(
        request,
        "arena/method.html",
        {
            "rounds": ROUNDS,
            "prior": PRIOR_TIES,
            "least_styled": LEAST_STYLED_VOTES,
            "hard_from": HARD_FROM,
            "long_prompt": LONG_PROMPT,
            "least_letters": LEAST_LETTERS,
            "least_probability": LEAST_PROBABILITY,
            "limits": limit_words(),
            "pools": Pool.objects.all(),
        },
    )


@require_safe
def votes(request: HttpRequest, extension: str) -> StreamingHttpResponse:
    """The ranked votes that the filters select, as a file."""
    form = VOTE_FORMATS.get(extension)
    pool = _chosen(request, pools_with_newest_vote())
    if form is None or pool is None:
        raise Http404
    pieces = vote_pieces(read_filters(request.GET, pool.slug), form)
    return stream_pieces(
        request, pieces, content_type=f"{form.media_type}; charset=utf-8", filename=f"votes-{pool.slug}.{extension}"
    )


def _chosen(request: HttpRequest, pools: Sequence[Pool]) -> Pool | None:
    """The pool that the address names, else the usual one. Raises Http404 for one that is none."""
    slug = request.GET.get("pool", "")
    pool = pool_named(slug, pools)
    if pool is None and slug:
        raise Http404
    return pool
