"""Give a run or a conversation an unlisted link, and take it back."""

from __future__ import annotations

from django.db import transaction

from portal.playground.models import Conversation, Generation, ShareLink


def share(target: Generation | Conversation) -> ShareLink:
    """The target's link; the one that it has is kept."""
    which = {"generation": target} if isinstance(target, Generation) else {"conversation": target}
    with transaction.atomic():
        # Twice at once, one of them makes it: the constraint is on links that are not revoked.
        link, _ = ShareLink.objects.get_or_create(revoked_at=None, **which)
    return link


def revoke(target: Generation | Conversation) -> bool:
    """End the target's link for good; False when it has none."""
    link = live_link(target)
    return link is not None and link.revoke()


def live_link(target: Generation | Conversation) -> ShareLink | None:
    return target.share_links.filter(revoked_at__isnull=True).first()


def find_shared(token: str) -> ShareLink | None:
    """The link with this token, unless it was revoked or what it shows is deleted."""
    link = (
        ShareLink.objects.select_related("conversation", "generation__conversation", "generation__variant__card")
        .filter(token=token, revoked_at__isnull=True)
        .first()
    )
    if link is None:
        return None
    conversation = link.conversation or (link.generation.conversation if link.generation is not None else None)
    return None if conversation is None or conversation.is_deleted else link
