"""The account pages: signing up, profile, tokens, deleting the account. Signing in and the rest are allauth's."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any, Final

from allauth.account.decorators import reauthentication_required
from allauth.account.models import EmailAddress
from allauth.account.views import SignupView
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from portal.accounts.access import get_token
from portal.accounts.forms import SignUpForm, TokenForm
from portal.accounts.limits import LimitExceeded
from portal.accounts.models import User
from portal.accounts.queries import deletion_summary, roles_of, tokens_of
from portal.accounts.services import LastSuperuserError, TokenExistsError, create_token, delete_account, revoke_token

# The window of every limit in ACCOUNT_RATE_LIMITS that ends here; allauth does not say how much of it is left.
ATTEMPTS_RETRY_S: Final = 60


class SignUpView(SignupView):  # type: ignore[misc]  # allauth is untyped
    """allauth's view, for two people who take one name at one moment."""

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        response: HttpResponse
        try:
            response = super().form_valid(form)
        except IntegrityError:
            # The other was quicker. Asked again, the form says which field is taken.
            form.full_clean()
            response = super().form_valid(form) if form.is_valid() else self.form_invalid(form)
        return response


@require_safe
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    user = _signed_in(request)
    return render(
        request,
        "accounts/profile.html",
        {"roles": roles_of(user), "address": EmailAddress.objects.get_primary(user), "tokens": tokens_of(user).count()},
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@sensitive_variables("secret", "context")
def tokens(request: HttpRequest) -> HttpResponse:
    """The person's tokens. A new one's secret is in the answer to its POST and nowhere else."""
    user = _signed_in(request)
    form = TokenForm(request.POST or None, user=user)
    context: dict[str, Any] = {"form": form, "tokens": tokens_of(user)}
    status = HTTPStatus.OK
    if request.method == "POST":
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                token, secret = create_token(user, **form.cleaned_data)
            except TokenExistsError:
                # A reload or a second click repeats the POST.
                messages.warning(request, _("This token was made before. Its secret was shown then, and only then."))
                return redirect("accounts:tokens")
            except ValidationError as error:
                form.add_error(None, error)
            else:
                context |= {"form": TokenForm(user=user), "new_token": token, "secret": secret}
                status = HTTPStatus.OK
    return render(request, "accounts/tokens.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Asks once, naming the token, and revokes it."""
    if not request.user.is_authenticated:
        raise Http404
    token = get_token(_signed_in(request), token_id)
    if request.method == "POST":
        revoke_token(token)
        messages.success(request, _("The token “%(name)s” is revoked.") % {"name": token.name})
        return redirect("accounts:tokens")
    return render(request, "accounts/token_revoke.html", {"token": token})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
def account_delete(request: HttpRequest) -> HttpResponse:
    """Says what goes and what stays, and deletes the account, of somebody who has just given their password."""
    user = _signed_in(request)
    if request.method == "POST":
        try:
            delete_account(user)
        except LastSuperuserError as error:
            messages.error(request, str(error))
            return redirect("accounts:profile")
        logout(request)
        messages.success(request, _("Your account is deleted."))
        return redirect("catalog:list")
    return render(request, "accounts/delete.html", {"summary": deletion_summary(user)})


def too_many_attempts(request: HttpRequest) -> HttpResponse:
    """`handler429`, which allauth calls: the portal's own answer to a limit, Retry-After and all."""
    raise LimitExceeded("sign-in", ATTEMPTS_RETRY_S, _("That was too many attempts from your network in one minute."))


def _signed_in(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
