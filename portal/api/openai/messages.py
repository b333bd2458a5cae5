"""The chat in a request: roles and texts become the engine's messages, whatever else is refused by its place."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _

from inference.engine import Message, Role
from portal.api.openai.errors import OpenAIError

MAX_MESSAGES: Final = 2_048

# `developer` is what OpenAI calls the system's role of newer models.
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# `reasoning_content` of an earlier answer may come back with it and is not read again, as chat templates have it.
_MEMBERS: Final = {"role", "content", "reasoning_content"}


def read_messages(value: Any) -> list[Message]:
    """At least one message, of which the last is the user's. Raises OpenAIError with the place of what is refused."""
    if not isinstance(value, list) or not value:
        raise OpenAIError(_("Must be a list of at least one message."), param="messages")
    if len(value) > MAX_MESSAGES:
        raise OpenAIError(_("At most %d messages.") % MAX_MESSAGES, param="messages")
    messages = [_read_message(each, f"messages[{place}]") for place, each in enumerate(value)]
    if messages[-1].role != "user":
        raise OpenAIError(_("The last message must be the user's."), param=f"messages[{len(messages) - 1}].role")
    return messages


def _read_message(value: Any, place: str) -> Message:
    if not isinstance(value, dict):
        raise OpenAIError(_("Must be an object with role and content."), param=place)
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        allowed = _("Must be one of: %s.") % ", ".join(_ROLES)
        raise OpenAIError(allowed, param=f"{place}.role")
    for name, member in value.items():
        if name not in _MEMBERS and member is not None:
            raise OpenAIError(_("“%s” in a message is not supported.") % name[:80], param=f"{place}.{name[:80]}")
    return Message(_ROLES[role], _read_content(value.get("content"), f"{place}.content"))


def _read_content(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise OpenAIError(_("Must be a text, or a list of at least one text part."), param=place)
    return "".join(_read_part(part, f"{place}[{number}]") for number, part in enumerate(value))


def _read_part(value: Any, place: str) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind != "text":
        named = kind[:80] if isinstance(kind, str) else _("a part without a type")
        raise OpenAIError(_("Only text parts are supported, not “%s”.") % named, param=place)
    text = value.get("text")
    if not isinstance(text, str):
        raise OpenAIError(_("Must be a text."), param=f"{place}.text")
    return text
