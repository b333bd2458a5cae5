"""What becomes of a form that a service may refuse: the service's errors beside the fields, the right status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.http import HttpResponse

from portal.accounts.limits import LimitExceeded
from portal.arena.forms import PromptForm

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """The form has its errors; the page that shows it gets this status."""

    status: int = 422
    retry_after_s: int = 0

    def mark(self, response: HttpResponse) -> HttpResponse:
        response.status_code = self.status
        if self.retry_after_s:
            response["Retry-After"] = str(self.retry_after_s)
        return response


def submit(form: PromptForm, send: Callable[[], T]) -> T | Refused:
    """Call `send` for a form that is valid."""
    try:
        return send()
    except ValidationError as error:
        form.add_service_errors(error)
        return Refused()
    except LimitExceeded as error:
        form.add_error(None, error.message)
        return Refused(429, error.retry_after_s)
