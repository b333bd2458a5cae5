"""Presets: settings under a name. Built-in ones for everybody, one's own, and those that somebody shared by link."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inference.sampling_params import SamplingParams, find_invalid
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Preset
from portal.playground.models.presets import MAX_NAME_CHARACTERS
from portal.playground.models.sharing import new_token
from portal.playground.variant_defaults import default_parameters, max_tokens_allowed

MAX_JSON_CHARACTERS: Final = 20_000
MAX_PRESETS: Final = 50


@dataclass(frozen=True, slots=True)
class BuiltInPreset:
    """A preset that everybody has."""

    slug: str
    name: str | Promise
    params: dict[str, Any]


BUILT_IN: Final = (
    BuiltInPreset("greedy", gettext_lazy("Most probable"), {"temperature": 0.0, "top_p": 1.0}),
    BuiltInPreset("precise", gettext_lazy("Precise"), {"temperature": 0.2, "top_p": 0.9}),
    BuiltInPreset("balanced", gettext_lazy("Balanced"), {"temperature": 0.7, "top_p": 0.95}),
    BuiltInPreset("creative", gettext_lazy("Creative"), {"temperature": 1.1, "top_p": 1.0, "min_p": 0.05}),
    BuiltInPreset("raw", gettext_lazy("Unfiltered"), {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0,
                  "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}),
)  # fmt: skip


def own_presets(actor: Actor) -> list[Preset]:
    return list(Preset.objects.filter(actor.owns()).order_by("name"))


def preset_params(actor: Actor, name: str) -> tuple[dict[str, Any], str | None]:
    """The parameters that a preset sets, by a built-in's slug or one's own preset's id, and its system prompt, if any.

    Raises ValidationError for one that is not there.
    """
    for each in BUILT_IN:
        if each.slug == name:
            return each.params, None
    try:
        own = Preset.objects.filter(actor.owns(), pk=uuid.UUID(name)).first()
    except ValueError:
        own = None
    if own is None:
        raise ValidationError({"preset": [_("This preset is not there any more.")]})
    return own.params, own.system_prompt


def save_preset(actor: Actor, *, name: str, params: SamplingParams, system_prompt: str, variant: Variant) -> Preset:
    """Keep what differs from the variant's defaults, under a name of one's own; the same name again replaces it.

    Raises ValidationError naming `preset_name`.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or "\x00" in name:
        raise ValidationError({"preset_name": [_("A name has 1 to %d characters.") % MAX_NAME_CHARACTERS]})
    defaults = default_parameters(variant)
    differing = {key: value for key, value in params.as_mapping().items() if value != defaults[key]}
    content = {"params": differing, "system_prompt": system_prompt[: settings.MAX_SYSTEM_PROMPT_CHARACTERS]}
    with transaction.atomic():
        own = Preset.objects.filter(actor.owns())
        if own.filter(name=name).update(**content):
            return own.get(name=name)
        if own.count() >= MAX_PRESETS:
            raise ValidationError(
                {"preset_name": [_("You have %d presets, the most. Delete one first.") % MAX_PRESETS]}
            )
        return Preset.objects.create(name=name, **content, **actor.ownership())


def share_preset(preset: Preset) -> str:
    """Give it a link; the one that it has stays."""
    Preset.objects.filter(pk=preset.pk, share_token__isnull=True).update(share_token=new_token())
    preset.refresh_from_db(fields=["share_token"])
    assert preset.share_token is not None
    return preset.share_token


def unshare_preset(preset: Preset) -> None:
    """The link works no more; sharing again makes another one."""
    Preset.objects.filter(pk=preset.pk).update(share_token=None)


def copy_preset(actor: Actor, shared: Preset) -> Preset:
    """Make somebody's shared preset one's own, under its name or, where that is taken, a numbered one."""
    content = {"params": shared.params, "system_prompt": shared.system_prompt}
    if Preset.objects.filter(actor.owns()).count() >= MAX_PRESETS:
        raise _too_many()
    for number in range(1, MAX_PRESETS + 2):
        suffix = "" if number == 1 else f" {number}"
        name = shared.name[: MAX_NAME_CHARACTERS - len(suffix)] + suffix
        try:
            with transaction.atomic():
                return Preset.objects.create(name=name, **content, **actor.ownership())
        except IntegrityError:
            continue
    raise _too_many()


def _too_many() -> ValidationError:
    return ValidationError({"preset_name": [_("You have %d presets, the most. Delete one first.") % MAX_PRESETS]})


def give_presets_to_user(visitor: uuid.UUID, user: User) -> None:
    """An anonymous visitor signed in: their presets become the user's; one of a name that the user has stays theirs."""
    names = Preset.objects.filter(owner=user).values("name")
    Preset.objects.filter(visitor=visitor).exclude(name__in=names).update(owner=user, visitor=None)


def read_parameters_json(text: str, variant: Variant) -> SamplingParams:
    """What was pasted as JSON; what it leaves out takes the variant's default.

    Raises ValidationError: naming `json` for what is no object of parameters, or the parameter that is out of range.
    """
    if len(text) > MAX_JSON_CHARACTERS:
        raise ValidationError({"json": [_("At most %s characters.") % f"{MAX_JSON_CHARACTERS:,}"]})
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" ({error.msg}, {error.lineno}:{error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValidationError({"json": [_("This is not JSON%s.") % where]}) from None
    if not isinstance(values, dict):
        raise ValidationError({"json": [_("Must be a JSON object of parameters, such as {“temperature”: 0.2}.")]})
    values = default_parameters(variant) | values
    if wrong := find_invalid(values, max_tokens_allowed()):
        raise ValidationError({"json": [f"{each.field}: {each.limit}." for each in wrong]})
    return SamplingParams.from_mapping(values)
