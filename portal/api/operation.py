"""An operation, described once: what the OpenAPI document shows of its address is what the address takes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from http import HTTPMethod, HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from django.http import QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema

from portal.api import schema
from portal.exports.criteria import MAX_ECHOED_CHARACTERS, InvalidCriterion

# The negotiation says what is wrong with it.
FORMAT: Final = "format"
_DECLARED: Final = "query_parameters"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_DIGITS: Final = 18
Method = TypeVar("Method", bound=Callable[..., Any])


class Described(Protocol):
    """A decorator that leaves a method what it is."""

    def __call__(self, method: Method, /) -> Method: ...


def operation(*, parameters: Iterable[OpenApiParameter] = (), responses: Mapping[Any, Any], **said: Any) -> Described:
    """`extend_schema` for a method of an `ApiView`, which refuses whatever these parameters of the query do not allow.

    A GET that answers in JSON alone answers 304 to who has it already; that need not be said.
    """
    parameters = list(parameters)

    def decorate(method: Method) -> Method:
        told, answers = parameters, responses
        if method.__name__ == HTTPMethod.GET.lower() and HTTPStatus.OK in responses:
            told, answers = [*parameters, schema.IF_NONE_MATCH], {**responses, **schema.NOT_MODIFIED}
        of_query = {each.name: each for each in parameters if each.location == OpenApiParameter.QUERY}
        described: Method = extend_schema(parameters=told, responses=answers, **said)(method)
        setattr(described, _DECLARED, of_query)
        return described

    return decorate


def require_allowed(method: Any, given: QueryDict) -> None:
    """Raises InvalidCriterion for what a method's operation does not take, naming the parameter and the limit."""
    declared: Mapping[str, OpenApiParameter] = getattr(method, _DECLARED, {})
    for name, values in given.lists():
        if name not in declared and name != FORMAT:
            there_are = ", ".join({**declared, FORMAT: None})
            raise InvalidCriterion(
                name[:MAX_ECHOED_CHARACTERS], _("There is no such parameter. There are: %s.") % there_are
            )
        if len(values) > 1:
            raise InvalidCriterion(name, _("Must be given once."))
    for name, parameter in declared.items():
        if name not in given:
            if parameter.required:
                raise InvalidCriterion(name, _("Must be given."))
        elif name != FORMAT and (limit := _broken_limit(parameter.type, str(given[name]))):
            raise InvalidCriterion(name, limit)


def _broken_limit(said: Any, text: str) -> str | None:  # noqa: PLR0911 - one for each kind of limit
    """Which limit of a parameter's schema `text` breaks, in words."""
    match said:
        case {"items": {"enum": known}}:
            unknown = next((each for each in text.split(",") if each not in known), None)
            values = {"given": (unknown or "")[:MAX_ECHOED_CHARACTERS], "known": ", ".join(known)}
            return None if unknown is None else _("There is no “%(given)s” here. There are: %(known)s.") % values
        case {"enum": known}:
            known = [str(each) for each in known]
            return None if text in known else _("Must be one of: %s.") % ", ".join(known)
        case {"type": "integer", "minimum": least, "maximum": most}:
            is_whole = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
            limits = {"least": least, "most": most}
            is_inside = is_whole and least <= int(text) <= most
            return None if is_inside else _("Must be a whole number from %(least)d to %(most)d.") % limits
        case {"format": "uuid"}:
            return None if _is_uuid(text) else _("Must be a UUID.")
        case {"format": "date"}:
            return None if _is_day(text) else _("Must be a day, such as 2026-01-31.")
        case {"pattern": pattern} if not re.fullmatch(pattern, text):
            return _("Must be of the form %s.") % str(said.get("title", pattern))
        case {"type": "string"}:
            least, most = said.get("minLength", 0), said.get("maxLength")
            if len(text) < least or (most is not None and len(text) > most):
                limits = {"least": least, "most": most}
                return _("Must have %(least)d to %(most)d characters.") % limits
            return _("Must not have a NUL character.") if "\x00" in text else None
    return None


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_day(text: str) -> bool:
    try:
        return _DAY.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False
