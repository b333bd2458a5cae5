"""What a conversation's page shows: a branch of its tree, the composer that goes on there, and what is beside it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404

from portal.accounts.actors import Actor
from portal.catalog.access import variants_for
from portal.catalog.queries import default_variant
from portal.playground.forms import PromptForm, new_conversation_initial, next_turn_form
from portal.playground.models import Conversation, Generation
from portal.playground.presets import BUILT_IN, own_presets
from portal.playground.queries import find_turn
from portal.playground.quota import read_quotas
from portal.playground.tree import ConversationTree, read_tree, show_branch


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a valid form."""

    generation: Generation
    # An earlier prompt used this form's key, and its answer was lost on the way: what is typed now is not sent yet.
    typed_since: str


def beside_composer(actor: Actor) -> dict[str, Any]:
    """What stands beside every composer: what is left to run, and the presets."""
    return {"quotas": read_quotas(actor), "own_presets": own_presets(actor), "built_in_presets": BUILT_IN}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in its tree a conversation is shown: the branch's end, what the composer does there, and a page of it."""

    leaf: uuid.UUID | None
    edited: uuid.UUID | None = None
    before: uuid.UUID | None = None


def _find_place(tree: ConversationTree, asked: Mapping[str, str]) -> _Place:
    """Raises Http404 for a turn that is not in the conversation."""
    if edited := _turn_named(tree, asked, "edit"):
        path = tree.path_to(edited)
        return _Place(path[-2] if len(path) > 1 else None, edited)
    if replied := _turn_named(tree, asked, "reply"):
        return _Place(replied)
    at = _turn_named(tree, asked, "at")
    leaf = tree.newest_leaf_of(at) if at is not None else tree.newest
    return _Place(leaf, before=_turn_named(tree, asked, "before"))


def _turn_named(tree: ConversationTree, asked: Mapping[str, str], name: str) -> uuid.UUID | None:
    wanted = asked.get(name)
    if not wanted:
        return None
    try:
        turn = uuid.UUID(wanted)
    except ValueError:
        raise Http404 from None
    if turn not in tree:
        raise Http404
    return turn


def conversation_context(
    actor: Actor, shown: Conversation, asked: Mapping[str, str], sent: Sent | None = None
) -> dict[str, Any]:
    tree = read_tree(shown)
    place = _find_place(tree, asked)
    branch = show_branch(shown, tree, place.leaf, before=place.before)
    variants = variants_for(actor.user)
    last = branch.last
    edited = find_turn(shown, place.edited) if place.edited is not None else None
    if edited is not None:
        edited.conversation = shown
        form = next_turn_form(edited, variants)
        form.initial = {**form.initial, "edits": edited.pk, "parent": None, "prompt": edited.prompt}
    elif last is not None:
        form = next_turn_form(last, variants)
    else:
        initial = new_conversation_initial(default_variant(), system_prompt=shown.system_prompt)
        form = PromptForm(initial=initial, variants=variants, conversation=shown)
    if sent is not None:
        form.initial["prompt"] = sent.typed_since
    context: dict[str, Any] = {
        "conversation": shown,
        "branch": branch,
        "last": last if edited is None else None,
        "edited": edited,
        "is_other_branch": place.leaf != tree.newest,
        "seen": tree.newest,
        "leaf": last.pk if last is not None and edited is None else None,
        "form": form,
        **beside_composer(actor),
    }
    return context | (typed_since(sent) if sent is not None else {})


def typed_since(sent: Sent) -> dict[str, Any]:
    return {"typed_since": bool(sent.typed_since)}


def posted_context(actor: Actor, shown: Conversation, posted: Mapping[str, str]) -> dict[str, Any]:
    """The conversation where the form that was posted stood in it."""
    try:
        return conversation_context(actor, shown, {"edit": posted.get("edits", ""), "reply": posted.get("parent", "")})
    except Http404:
        return conversation_context(actor, shown, {})
