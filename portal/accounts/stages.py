"""The steps of a sign-in after the password, where they differ from allauth's."""

from __future__ import annotations

from typing import Any

from allauth.account import stages


class EmailVerificationStage(stages.EmailVerificationStage):  # type: ignore[misc]  # allauth is untyped
    """Confirming an address is asked of people who signed up.

    A superuser and an account without an address were made by those who run the installation. The first of them signs
    in before anybody has set up mail, and nothing would ever let them confirm an address that they do not have.
    """

    def handle(self) -> tuple[Any, bool]:
        user = self.login.user
        if user is not None and not self.login.signup and (user.is_superuser or not user.email):
            return None, True
        response, goes_on = super().handle()
        return response, goes_on
